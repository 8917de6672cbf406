#!/usr/bin/env node
/**
 * The command: finds a Node that runs this program and starts main.ts (main.js, where it was built) in it. Plain JavaScript
 * for any Node from 20 on, since a machine's own Node may be older than the one that the program needs.
 */
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const nodeMajorMin = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Programs know these by name: a link of that name leads here. */
const names = {
  sendmail: ['sendmail'],
  mailq: ['sendmail', '-bp'],
  newaliases: ['sendmail', '-bi'],
  formail: ['formail'],
  maildrop: ['maildrop'],
};
/** Started once for each message: they go round everything that only other commands need. Command, and the function it is. */
const direct = { __proto__: null, deliver: 'deliver', formail: 'runFormail', maildrop: 'runMaildrop' };
const argv = [...(names[basename(process.argv[1] ?? '')] ?? []), ...process.argv.slice(2)];

if (Number.parseInt(process.versions.node, 10) >= nodeMajorMin) await run();
else await startAgain();

/** In this process: nothing stands between the program and its signals. */
async function run() {
  cacheCompiledCode();
  // Node strips no types below node_modules, so the package that is installed there was built.
  const main = ['src/main.ts', 'src/main.js'].map((file) => join(root, file)).find(existsSync) ?? root;
  try {
    const start = direct[argv[0]];
    if (start !== undefined) {
      const extension = extname(main);
      const file = new URL(`cli/${argv[0]}${extension}`, pathToFileURL(main)).href;
      if (start === 'deliver') {
        // For a user of the running server a tenth of the program is enough.
        const { deliverStraight } = await import(new URL(`deliver/straight${extension}`, file).href);
        process.exitCode = await deliverStraight(argv.slice(1));
        if (process.exitCode !== undefined) return;
      }
      process.exitCode = await (await import(file))[start](argv.slice(1));
      return;
    }
    const { main: runCommand } = await import(pathToFileURL(main).href);
    process.exitCode = await runCommand(argv);
  } catch (error) {
    if (argv[0] in direct) return fail(error?.message ?? String(error));
    if (error?.code !== 'ERR_MODULE_NOT_FOUND' || existsSync(join(root, 'node_modules'))) throw error;
    fail(`its packages are not installed.\nRun "npm ci" in ${root}, or "npm start", which does it.`);
  }
}

/**
 * In a folder of this user's alone: what lies there is run, and Node's own choice, /tmp/node-compile-cache, belongs to whoever
 * came first. What others could write to is not used.
 */
function cacheCompiledCode() {
  const user = process.getuid?.();
  if (user === undefined || process.env.NODE_COMPILE_CACHE) return void module.enableCompileCache?.();
  const directory = join(tmpdir(), `mailfilter-compiled-${user}`);
  try {
    mkdirSync(directory, { mode: 0o700, recursive: true });
    const { uid, mode } = lstatSync(directory);
    if (uid === user && (mode & 0o170022) === 0o040000) module.enableCompileCache?.(directory);
  } catch {
    // Without a cache it takes longer to start, and nothing else.
  }
}

/** In a newer Node, as a child that gets every signal and whose end becomes ours. */
async function startAgain() {
  const node = process.env.MAILFILTER_LAUNCHED === String(process.ppid) ? undefined : findNode();
  if (node === undefined) {
    fail(
      `it needs Node ${nodeMajorMin} or newer and this is ${process.version} (${process.execPath}).\n` +
        `Run "npm ci" in ${root}, which brings one along on Linux, or set MAILFILTER_NODE to the path of a newer node.`,
    );
    return;
  }
  // Loaded here alone: it costs a delivery an eighth of its time.
  const { spawn } = await import('node:child_process');
  const child = spawn(node, [fileURLToPath(import.meta.url), ...argv], {
    stdio: 'inherit',
    env: { ...process.env, MAILFILTER_LAUNCHED: String(process.pid) },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${node} does not start: ${error.message}`));
  child.on('exit', (code, signal) => {
    // 128 + n is what a shell shows for a program that a signal ended.
    process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
    for (const each of signals) process.removeAllListeners(each);
  });
}

/** MAILFILTER_NODE, else the Node that the installation brought along, else undefined. */
function findNode() {
  if (process.env.MAILFILTER_NODE) return process.env.MAILFILTER_NODE;
  const linked = join(root, 'node_modules/.bin/node');
  if (existsSync(linked)) return linked;
  try {
    const carrier = createRequire(import.meta.url).resolve(
      `node-${process.platform}-${process.arch}/package.json`,
    );
    const carried = join(dirname(carrier), 'bin/node');
    return existsSync(carried) ? carried : undefined;
  } catch {
    // No package with a Node for this platform: the message says what to do.
    return undefined;
  }
}

function fail(reason) {
  process.stderr.write(`mailfilter cannot run: ${reason}\n`);
  // Mail must not go back because a program is broken: EX_TEMPFAIL.
  process.exitCode = argv[0] in direct ? 75 : 69;
}
