/** The launcher: finds a Node that is new enough, hands on arguments, signals and exit codes, and says what is missing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { launcher, runCommand } from '../kit/command.ts';

const version = /^\d+\.\d+\.\d+\n$/;
/** A Node older than the program needs, as many machines have one. */
const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path));

test('runs the command, and its exit code is the command’s', async () => {
  const good = await runCommand(['--version']);
  assert.match(good.stdout, version);
  assert.equal(good.code, 0);
  const bad = await runCommand(['no-such-command']);
  assert.equal(bad.code, 64);
  assert.match(bad.stderr, /unknown command 'no-such-command'/);
});

test('every command of the help can be loaded', async () => {
  const { stdout } = await runCommand(['--help']);
  const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!);
  assert.ok(names.includes('serve') && names.includes('user'), stdout);
  const answers = await Promise.all(names.map((name) => runCommand([name, '--help'])));
  for (const [index, { code, stderr }] of answers.entries())
    assert.equal(code, 0, `${names[index]}: ${stderr}`);
});

test('a machine’s own older Node starts the newer one', async (t) => {
  if (oldNode === undefined) return t.skip('needs a Node in /usr/bin or /usr/local/bin');
  const { code, stdout, stderr } = await runCommand(['--version'], { node: oldNode });
  assert.equal(code, 0, stderr);
  assert.match(stdout, version);
});

/** A copy of the launcher in a folder of its own, its main replaced. */
function copyWithMain(t: { after(end: () => void): void }, main: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-launcher-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'src'));
  mkdirSync(join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'src/main.ts'), main);
  copyFileSync(launcher, join(folder, 'src/mailfilter.js'));
  return join(folder, 'src/mailfilter.js');
}

/** What makes a launcher on any Node behave as on one that is too old. */
const pretendOld = `data:text/javascript,${encodeURIComponent(
  "if (!process.env.MAILFILTER_LAUNCHED) Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } });",
)}`;

test('signals reach the program, and its end becomes the launcher’s', async (t) => {
  const copy = copyWithMain(
    t,
    `export function main() {
       return new Promise((resolve) => {
         const alive = setInterval(() => {}, 1000);
         process.on('SIGTERM', () => { clearInterval(alive); resolve(7); });
         process.stdout.write('ready');
       });
     }`,
  );
  const child = spawn(process.execPath, ['--import', pretendOld, copy], {
    env: { ...process.env, MAILFILTER_NODE: process.execPath },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 7);
});

test('a program that a signal ended shows as the shell shows it', async (t) => {
  const copy = copyWithMain(
    t,
    "export function main() { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); }",
  );
  const child = spawn(process.execPath, ['--import', pretendOld, copy], {
    env: { ...process.env, MAILFILTER_NODE: process.execPath },
    stdio: 'ignore',
  });
  const [code] = await once(child, 'exit');
  assert.equal(code, 137);
});

test('no Node that is new enough: says what to do', async (t) => {
  const copy = copyWithMain(t, '');
  const child = spawn(process.execPath, ['--import', pretendOld, copy], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 69);
  assert.match(said, /needs Node 24 or newer.*npm ci.*MAILFILTER_NODE/s);
});

test('packages that are not installed: says what to do', async (t) => {
  const copy = copyWithMain(t, "import 'not-installed-at-all'; export function main() {}");
  rmSync(join(copy, '../../node_modules'), { recursive: true });
  const child = spawn(process.execPath, [copy], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 69);
  assert.match(said, /packages are not installed/);
});
