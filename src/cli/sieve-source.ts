/** Sieve scripts as files: reading one, and those that it includes from the folder it lies in. */
import { basename, dirname, join } from 'node:path';
import {
  type Compilation,
  type CompileOptions,
  compileSieve,
  formatProblem,
  type Program,
  type ScriptName,
} from '../../rules/sieve/index.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { readIfThere, readNeeded } from './needed-file.ts';

/** Scripts that one in `folder` includes: `NAME.sieve` or `NAME` beside it; global ones may lie in `global/`. */
export function includedFrom(folder: string): (name: ScriptName) => Uint8Array | undefined {
  return ({ location, name }) => {
    const folders = location === 'global' ? [join(folder, 'global'), folder] : [folder];
    for (const each of folders) {
      const found = readIfThere(join(each, `${name}.sieve`)) ?? readIfThere(join(each, name));
      if (found) return found;
    }
    return undefined;
  };
}

export function compileFile(path: string, options: CompileOptions = {}): Compilation {
  const source = readNeeded(path);
  return compileSieve(source, { name: basename(path), script: includedFrom(dirname(path)), ...options });
}

/** The program of a file that has to be in order. @throws CommandError that holds all errors */
export function compileNeeded(path: string): Program {
  const { program, errors } = compileFile(path);
  if (program) return program;
  throw new CommandError(exitCodes.negative, errors.map((error) => formatProblem(error, path)).join('\n'));
}
