/** `npm start` as a new user types it: what it says, what Ctrl-C does, and that no process stays behind however it ends. */
import assert from 'node:assert/strict';
import type { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Clone, cloneProject, onFreePorts } from '../kit/clone.ts';
import { requirePeer, requireProgram } from '../kit/require.ts';
import { until } from '../kit/server.ts';
import { sendOne } from './mail-client.ts';

const clone = cloneProject({ installed: true });
before(() => onFreePorts(clone));
/** Every process of every server that was started: a test that fails in the middle leaves some. */
const left: number[] = [];
after(() => {
  for (const pid of left.filter(lives)) process.kill(pid, 'SIGKILL');
  clone.remove();
});

interface Started {
  readonly terminal: ReturnType<typeof spawn>;
  readonly said: string;
  /** Process ids of supervisor, mta and access. */
  readonly processes: readonly number[];
  /** The npm that a user sees. */
  readonly npm: number;
}

async function start(where: Clone = clone, line = 'npm start', timeoutMs = 60_000): Promise<Started> {
  rmSync(join(where.demo, 'data/run'), { recursive: true, force: true });
  const terminal = where.onTerminal(line);
  let said = '';
  terminal.stdout!.on('data', (chunk) => {
    said += chunk;
  });
  const pidFiles = ['mailfilter', 'mta', 'access'].map((role) => join(where.demo, 'data/run', `${role}.pid`));
  const ready = () => terminal.exitCode !== null || pidFiles.every((file) => existsSync(file));
  await until('a server', ready, timeoutMs);
  const lastWord = line === 'npm start' ? /Ctrl-C stops/ : /Ctrl-C stops|lmtp: /;
  await until('its last word', () => terminal.exitCode !== null || lastWord.test(said));
  assert.equal(terminal.exitCode, null, said);
  const processes = pidFiles.map((file) => Number(readFileSync(file, 'utf8')));
  left.push(...processes);
  return { terminal, said, processes, npm: childOf(terminal.pid!) };
}

/** script(1) has one child: the command, behind which the shell has gone. */
function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

/** A zombie that nobody reaps holds nothing any more. */
function lives(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function exitCode({ terminal }: Started): Promise<number | null> {
  await until('the end of the terminal', () => terminal.exitCode !== null || terminal.signalCode !== null);
  return terminal.exitCode;
}

const allGone = ({ processes }: Started) =>
  until(`the end of ${processes}`, () => !processes.some((pid) => lives(pid)), 30_000);

test('npm start, Ctrl-C, and again: drained with exit code 0, the same users', async (t) => {
  if (requireProgram(t, 'script') === undefined || requireProgram(t, 'npm') === undefined) return;
  const first = await start();
  for (const name of ['smtp', 'submission', 'submissions', 'lmtp'])
    assert.match(first.said, new RegExp(`  ${name}: `));
  const credentials = /^ {2}alice@example\.test {2}\S+\r?$/m.exec(first.said)?.[0];
  assert.ok(credentials, first.said);
  first.terminal.stdin!.write('\x03');
  assert.equal(await exitCode(first), 0);
  await allGone(first);
  assert.match(readFileSync(join(clone.demo, 'mailfilter.log'), 'utf8'), /"event":"ended"}\n$/);

  const second = await start();
  assert.ok(second.said.includes(credentials), 'the password was kept');
  const other = await clone.run('npm start');
  assert.equal(other.code, 69);
  assert.match(other.stderr, /another mailfilter \(pid \d+\) uses the data directory .*\.mailfilter\/data/);
  assert.ok(second.processes.every(lives), 'the first does not mind');
  second.terminal.stdin!.write('\x03');
  assert.equal(await exitCode(second), 0);
});

const ends: readonly { name: string; line: string; end(started: Started): void }[] = [
  {
    name: 'npm start: the terminal is closed',
    line: 'npm start',
    end: ({ terminal }) => terminal.kill('SIGKILL'),
  },
  { name: 'npm start: npm is killed', line: 'npm start', end: ({ npm }) => process.kill(npm, 'SIGKILL') },
  {
    name: 'npm start: npm is told to end',
    line: 'npm start',
    end: ({ npm }) => process.kill(npm, 'SIGTERM'),
  },
  {
    name: 'npm start: the supervisor is killed',
    line: 'npm start',
    end: ({ processes }) => process.kill(processes[0]!, 'SIGKILL'),
  },
  {
    name: 'npx mailfilter serve: npx is killed',
    line: 'npx mailfilter serve -c .mailfilter/mailfilter.json',
    end: ({ npm }) => process.kill(npm, 'SIGKILL'),
  },
  {
    name: 'npx mailfilter serve: npx is told to end, and its shell hands nothing on',
    line: 'npx mailfilter serve -c .mailfilter/mailfilter.json',
    end: ({ npm }) => process.kill(npm, 'SIGTERM'),
  },
  {
    name: 'an older Node’s launcher is killed',
    line: 'node src/mailfilter.js serve -c .mailfilter/mailfilter.json',
    end: ({ npm }) => process.kill(npm, 'SIGKILL'),
  },
];
for (const { name, line, end } of ends) {
  test(`no process stays behind. ${name}`, async (t) => {
    if (requireProgram(t, 'script') === undefined || requireProgram(t, 'npm') === undefined) return;
    const started = await start(clone, line);
    end(started);
    await allGone(started);
    await exitCode(started);
  });
}

test('a port that is taken: says port, listener, option and file, and fails', async (t) => {
  if (requireProgram(t, 'npm') === undefined) return;
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const file = join(clone.demo, 'mailfilter.json');
  const text = readFileSync(file, 'utf8');
  t.after(() => writeFileSync(file, text));
  writeFileSync(file, text.replace('127.0.0.1:0', `127.0.0.1:${port}`));
  const { code, stderr } = await clone.run('npm start');
  assert.equal(code, 69);
  assert.match(
    stderr,
    new RegExp(
      `listener "smtp" cannot listen on 127\\.0\\.0\\.1:${port}: .*taken.* listeners\\.smtp\\.address\\nThe config is ${file}`,
    ),
  );
});

test('a clone without packages: one command installs, runs, and takes mail', async (t) => {
  // A quarter of a minute, and it asks the package registry.
  const wanted = process.env.MAILFILTER_REQUIRE_PEERS === '1';
  if (!requirePeer(t, 'MAILFILTER_REQUIRE_PEERS=1 and the package registry', wanted)) return;
  const fresh = cloneProject({ installed: false });
  t.after(fresh.remove);
  await onFreePorts(fresh);
  const started = await start(fresh, 'npm start', 120_000);
  assert.match(started.said, /running "npm ci"/);
  const smtp = Number(/ smtp: smtp on 127\.0\.0\.1:(\d+)/.exec(started.said)?.[1]);
  const replies = await sendOne(smtp, { to: ['alice@example.test'], message: 'Subject: hello\n\nHello!\n' });
  assert.match(replies[0]!, /^250/);
  const inbox = join(fresh.demo, 'mail/example.test/alice/new');
  await until('the message', () => existsSync(inbox) && readdirSync(inbox).length === 1);
  started.terminal.stdin!.write('\x03');
  assert.equal(await exitCode(started), 0);
});
