/** The project as a new user has it: the tracked files in a folder of their own, and a shell without this machine's Node 24 or npm's settings. */
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ensureDemo } from '../../src/cli/demo-installation.ts';
import { type CommandResult, collect } from './command.ts';
import { projectRoot } from './require.ts';

export interface Clone {
  readonly folder: string;
  /** Of the demo: `.mailfilter` in it. */
  readonly demo: string;
  /** Runs a line as typed into a shell in the folder. */
  run(line: string, input?: string): Promise<CommandResult>;
  /** The same on a terminal: what is typed into it goes to `stdin`, a closed one hangs up. */
  onTerminal(line: string): ReturnType<typeof spawn>;
  remove(): void;
}

/** `installed`: with the packages of this project, else with none. */
export function cloneProject({ installed }: { installed: boolean }): Clone {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-clone-'));
  for (const file of projectFiles()) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    cpSync(join(projectRoot, file), join(folder, file));
  }
  if (installed) symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  const env = newUserEnvironment();
  const shell = { cwd: folder, env };
  return {
    folder,
    demo: join(folder, '.mailfilter'),
    run: (line, input) => collect(spawn('sh', ['-c', line], shell), input),
    // script(1) gives the command a terminal, and its exit code is the command's.
    onTerminal: (line) => spawn('script', ['-qefc', `stty cols 100; exec ${line}`, '/dev/null'], shell),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The demo's own ports may be taken on this machine: any free ones instead. */
export async function onFreePorts({ demo }: Clone): Promise<void> {
  const { configFile } = await ensureDemo(demo);
  const text = readFileSync(configFile, 'utf8');
  writeFileSync(configFile, text.replace(/127\.0\.0\.1:2\d{3}/g, '127.0.0.1:0'));
}

/** What a commit of the working tree would hold: a new source file counts before it is added, a removed one does not. */
function projectFiles(): string[] {
  const list = (...options: string[]) =>
    execFileSync('git', ['ls-files', '-z', ...options], { cwd: projectRoot, encoding: 'utf8' }).split('\0');
  const sources = ['core', 'plugins', 'rules', 'src'];
  const files = [...list(), ...list('--others', '--exclude-standard', ...sources)];
  return files.filter((file) => file !== '' && existsSync(join(projectRoot, file)));
}

function newUserEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(npm_(?!config_)|NODE_|MAILFILTER_|INIT_CWD$)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  const path = (env.PATH ?? '').split(delimiter).filter((each) => !/node_modules|node-gyp-bin/.test(each));
  return { ...env, PATH: path.join(delimiter) };
}
