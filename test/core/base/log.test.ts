/** The log: one JSON line per event, levels, bindings, secrets, files that are moved away, lines for eyes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createLog } from '../../../core/base/log.ts';
import { prettyLine } from '../../../core/base/log-pretty.ts';
import { until } from '../../kit/server.ts';

function collector(level: 'debug' | 'info' = 'info') {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({ level, write: (line) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

test('a line holds level, time, event and facts', () => {
  const { log, lines } = collector();
  log.info('message-accepted', { id: 't1', bytes: 5 });
  const { time, ...rest } = lines[0] ?? {};
  assert.deepEqual(rest, { level: 'info', event: 'message-accepted', id: 't1', bytes: 5 });
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 5000);
});

test('what a child is bound to stands on every line', () => {
  const { log, lines } = collector();
  log.child({ id: 't1' }).child({ door: 'smtp' }).warn('slow');
  assert.partialDeepStrictEqual(lines[0], { level: 'warn', id: 't1', door: 'smtp', event: 'slow' });
});

test('a level that is off writes nothing, and can be turned on', () => {
  const { log, lines } = collector();
  log.debug('detail');
  assert.equal(log.enabled('debug'), false);
  assert.equal(lines.length, 0);
  log.setLevel('debug');
  log.debug('detail');
  assert.equal(lines.length, 1);
});

test('secrets are redacted at any depth, and the facts that were given stay as they are', () => {
  const { log, lines } = collector();
  const facts = { user: 'a', password: 'p', options: { list: [{ apiKey: 'k', zone: 'z' }] } };
  log.child({ token: 't' }).info('login', facts);
  assert.partialDeepStrictEqual(lines[0], {
    token: '[redacted]',
    user: 'a',
    password: '[redacted]',
    options: { list: [{ apiKey: '[redacted]', zone: 'z' }] },
  });
  assert.equal(facts.password, 'p');
  assert.equal(facts.options.list[0]?.apiKey, 'k');
});

test('a file is appended to, and opened anew on SIGUSR1', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-log-'));
  const file = join(folder, 'log', 'mail.log');
  const log = createLog({ level: 'info', file });
  const holds = (path: string, word: string) => () => {
    try {
      return readFileSync(path, 'utf8').includes(word);
    } catch {
      // Not there yet.
      return false;
    }
  };
  try {
    log.info('first');
    await until('the first line', holds(file, 'first'));
    assert.equal(statSync(file).mode & 0o777, 0o640 & ~process.umask());
    renameSync(file, `${file}.1`);
    process.kill(process.pid, 'SIGUSR1');
    await until('the file to be made again', holds(file, ''));
    log.info('second');
    await until('the second line', holds(file, 'second'));
    assert.ok(!holds(`${file}.1`, 'second')());
  } finally {
    log.close();
    rmSync(folder, { recursive: true, force: true });
  }
  assert.equal(process.listenerCount('SIGUSR1'), 0);
});

const logModule = fileURLToPath(new URL('../../../core/base/log.ts', import.meta.url));
/** 128 MiB of lines, some at a time, then what they took. */
const script = (options: string) => `
  import { createLog } from ${JSON.stringify(logModule)};
  const log = createLog({ level: 'info', pretty: false, ${options} });
  for (let line = 0; line < 2048; line += 1) {
    log.info('line', { text: 'x'.repeat(65536) });
    if (line % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  process.stdout.write(String(process.memoryUsage().rss));
  process.exit(0);`;

for (const { name, options } of [
  { name: 'a log file on a full disk', options: "file: '/dev/full'" },
  { name: 'standard error on a full disk', options: '' },
]) {
  test(`${name} neither ends the process nor fills its memory`, async () => {
    const command = `exec "$0" --input-type=module-typescript -e "$1" 2>/dev/full`;
    const given = ['-c', command, process.execPath, script(options)];
    const { stdout } = await promisify(execFile)('sh', given, { timeout: 20_000, killSignal: 'SIGKILL' });
    assert.ok(Number(stdout) > 0 && Number(stdout) < 160 * 1024 * 1024, stdout);
  });
}

test('a line for eyes shows no control characters of the mail', () => {
  const line = prettyLine(
    `${JSON.stringify({ level: 'warn', time: '2026-11-21T06:12:07.655Z', event: 'odd', subject: 'a\u001b[2J\u009bb c' })}\n`,
  );
  // Our own colours aside.
  const text = line.replace(/\x1b\[[0-9]*m/g, '');
  assert.equal(text, '06:12:07.655 warn  odd subject="a\\u001b[2J\\u009bb c"\n');
});

test('text that is no JSON passes as it is', () => {
  assert.equal(prettyLine('plain words\n'), 'plain words\n');
});

test('a log opened by root belongs to the user to become, and is reached by no link', {
  skip: process.getuid?.() !== 0,
}, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-log-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const owner = { uid: 65534, gid: 65534 };
  const file = join(directory, 'made', 'log');
  createLog({ level: 'info', file, owner }).close();
  for (const path of [file, join(directory, 'made')]) assert.equal(statSync(path).uid, owner.uid, path);
  const other = join(directory, 'other');
  writeFileSync(other, '');
  symlinkSync(other, join(directory, 'link'));
  assert.throws(() => createLog({ level: 'info', file: join(directory, 'link'), owner }), { code: 'ELOOP' });
  assert.equal(statSync(other).uid, 0);
});
