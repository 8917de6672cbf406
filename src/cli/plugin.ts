/** `mailfilter plugin new NAME`: a plugin that runs, with its README and its test, to change into one's own. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { calledAs } from './called-as.ts';
import { usualConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { programDirectory } from './installation.ts';

export function define(command: Command): void {
  command
    .command('new')
    .description('make a plugin from the template')
    .argument('<name>', 'lower case letters, digits and hyphens')
    .option('--directory <folder>', 'where its folder goes', '.')
    .action(newPlugin);
}

function newPlugin(name: string, options: { directory: string }): void {
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name)) {
    throw new CommandError(
      exitCodes.usage,
      `"${name}" is no plugin name: lower case letters, digits and hyphens`,
    );
  }
  const parent = resolve(options.directory);
  const folder = join(parent, name);
  if (existsSync(folder)) throw new CommandError(exitCodes.cannotCreate, `${folder} is there already`);
  copyTemplate(folder, name);
  const linked = linkProgram(parent, folder);
  process.stdout.write(instructions(folder, linked));
}

/** Every file of the template, its placeholder replaced by the name. */
function copyTemplate(folder: string, name: string): void {
  const template = join(programDirectory, 'plugins', '_template');
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(template)) {
    const text = readFileSync(join(template, file), 'utf8');
    writeFileSync(join(folder, file), text.replaceAll('__NAME__', name), { flag: 'wx' });
  }
}

/**
 * `mailfilter/plugin` has to resolve for the test and the editor. Where it does not yet, a link in node_modules leads
 * here: Node runs TypeScript through a link, but not below a real node_modules folder.
 */
function linkProgram(parent: string, folder: string): string | undefined {
  try {
    createRequire(join(folder, 'index.ts')).resolve('mailfilter/package.json');
    return undefined;
  } catch (error) {
    if (
      !/^(MODULE_NOT_FOUND|ERR_PACKAGE_PATH_NOT_EXPORTED)$/.test((error as NodeJS.ErrnoException).code ?? '')
    ) {
      throw error;
    }
  }
  const link = join(parent, 'node_modules', 'mailfilter');
  mkdirSync(join(parent, 'node_modules'), { recursive: true });
  symlinkSync(programDirectory.replace(/\/$/, ''), link, 'dir');
  // Without it Node would take the files for CommonJS and warn.
  const manifest = join(folder, 'package.json');
  writeFileSync(manifest, `${JSON.stringify({ private: true, type: 'module' }, null, 2)}\n`, { flag: 'wx' });
  return link;
}

function instructions(folder: string, linked: string | undefined): string {
  const config = usualConfig();
  const base = config === undefined ? process.cwd() : dirname(config);
  return [
    `Wrote ${folder}`,
    ...(linked === undefined ? [] : [`Linked ${linked} to this installation, so that imports resolve`]),
    '',
    `Test it:  ${nodeForTests()} --test ${pathFrom(process.cwd(), folder)}/index.test.ts`,
    `Use it:   put { "plugin": "${pathFrom(base, folder)}/index.ts" } into a pipeline`,
    `          of ${config ?? 'the config (the path is relative to it)'}`,
    `Then:     ${calledAs} check, and ${calledAs} reload`,
    '',
  ].join('\n');
}

/** Inside a clone npx finds the Node that came with the packages, however old the machine's own is. */
function nodeForTests(): string {
  const inClone = !relative(programDirectory, process.cwd()).startsWith('..');
  return inClone ? 'npx node' : 'node';
}

/** As the config takes it: beginning with `./`, `../` or `/`. */
function pathFrom(base: string, folder: string): string {
  const path = relative(base, folder);
  return path.startsWith('..') ? path : `./${path}`;
}
