/** README.md, word for word: every command in it is run in a fresh clone, and the plugin in it does what it says. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cloneProject, onFreePorts } from '../kit/clone.ts';
import type { CommandResult } from '../kit/command.ts';
import { freePort } from '../kit/free-port.ts';
import { rule } from '../kit/json-rule.ts';
import { startPostfix } from '../kit/postfix.ts';
import { requireProgram } from '../kit/require.ts';
import { until } from '../kit/server.ts';
import { sendOne } from './mail-client.ts';

const clone = cloneProject({ installed: true });
const configFile = join(clone.demo, 'mailfilter.json');
const blocks = [
  ...readFileSync(join(clone.folder, 'README.md'), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms),
].map(([, language, text]) => ({ language, text: text! }));
const ofLanguage = (wanted: string) =>
  blocks.filter(({ language }) => language === wanted).map(({ text }) => text);
const commands = ofLanguage('sh').flatMap((text) => text.trimEnd().split('\n'));

let server: ChildProcess | undefined;
before(() => onFreePorts(clone));
after(async () => {
  if (server !== undefined && server.exitCode === null) {
    server.stdin!.write('\x03');
    await until('the end of the server', () => server!.exitCode !== null || server!.signalCode !== null);
  }
  clone.remove();
});

/** Lines of the README that this file runs; what is left over has no test. */
const untested = new Set(commands);
/** One line of the README, after `adapt` where this machine cannot take it as it stands. */
async function run(line: string, adapt: (line: string) => string = (same) => same): Promise<CommandResult> {
  assert.ok(untested.delete(line), `the README has no line: ${line}`);
  return clone.run(adapt(line));
}
async function works(line: string, adapt?: (line: string) => string): Promise<string> {
  const { code, stdout, stderr } = await run(line, adapt);
  assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
  return stdout;
}

test('start in a minute', async (t) => {
  if (requireProgram(t, 'npm') === undefined || requireProgram(t, 'script') === undefined) return;
  assert.ok(untested.delete('npm start'));
  server = clone.onTerminal('npm start');
  let said = '';
  server.stdout!.on('data', (chunk) => {
    said += chunk;
  });
  await until('the server', () => said.includes('Ctrl-C stops'), 60_000);

  const shown = await works('npm run demo');
  for (const title of [
    'ordinary',
    '8-bit',
    '200 parts',
    'huge attachment',
    'one to refuse',
    'one to edit',
    'by a user',
  ]) {
    assert.match(shown, new RegExp(`^${title} +\\d+ +(?:250|550) `, 'm'));
  }
  assert.match(await works('npx mailfilter queue list'), /empty/);
  assert.match(await works('npx mailfilter user list'), /^alice@example\.test/m);
  const id = /explain (\w+)/.exec(shown)?.[1] ?? '';
  assert.match(
    await works('npx mailfilter explain ID', (line) => line.replace('ID', id)),
    new RegExp(`^${id}: accepted`),
  );
});

test('spam and viruses', async (t) => {
  if (requireProgram(t, 'npm') === undefined || server === undefined) return t.skip('needs the server');
  mkdirSync(join(clone.folder, 'samples/spam'), { recursive: true });
  const numbers = Array.from({ length: 50 }, (_, index) => index + 1);
  const sample = (n: number, words: string) => `Subject: number ${n}\n\n${words} word${n}\n`;
  for (const n of numbers)
    writeFileSync(join(clone.folder, `samples/spam/${n}.eml`), sample(n, 'casino jackpot winner'));
  const mbox = numbers.map(
    (n) => `From ann Sat Nov 21 10:00:00 2026\n${sample(n, 'meeting agenda review')}\n`,
  );
  writeFileSync(join(clone.folder, 'samples/ham.mbox'), mbox.join(''));
  assert.equal(await works('npx mailfilter learn spam samples/spam'), '50 messages: 50 learnt as spam\n');
  assert.equal(await works('npx mailfilter learn ham samples/ham.mbox'), '50 messages: 50 learnt as ham\n');
  assert.match(
    await works('npx mailfilter learn why samples/spam/1.eml'),
    /^spam with probability (?:1\.0|0\.99).*^casino jackpot +/ms,
  );
  assert.match(await works('npx mailfilter quarantine list'), /^Nothing is held\.$/m);
  assert.match(await works('npx mailfilter explain --shadow --since 7d'), /^No plugin was on trial/);
  assert.match(
    await works('npx mailfilter replay --since 7d'),
    /messages? replayed, 0 would have fared otherwise/,
  );
});

test('rules for each user', async (t) => {
  if (requireProgram(t, 'npm') === undefined || server === undefined) return t.skip('needs the server');
  const [script] = ofLanguage('sieve');
  writeFileSync(join(clone.folder, 'rules.sieve'), script!);
  await works('npx mailfilter sieve check rules.sieve');
  const tried = await works('npx mailfilter sieve trial rules.sieve --user alice@example.test');
  assert.match(tried, /attachment.* implicit keep +fileinto "Attachments"/);
  const told = await works('npx mailfilter sieve apply rules.sieve --user alice@example.test');
  assert.match(told, /move to Attachments .*\n\n\d messages? would change; --execute does it\./s);
});

test('an rcfile of procmail', async (t) => {
  if (requireProgram(t, 'npm') === undefined) return;
  const [make, check, run, convert] = commands.filter((line) => line.includes('rules.rc'));
  await works(make!);
  await works(check!);
  assert.match(await works(run!), /lunch/);
  assert.match(await works(convert!), /kept as comments\n +1 +1 +0\n/);
});

test('a plugin', async (t) => {
  if (requireProgram(t, 'npm') === undefined || server === undefined) return t.skip('needs the server');
  await works('npx mailfilter plugin new no-shouting');
  const [plugin, tests] = ofLanguage('ts');
  writeFileSync(join(clone.folder, 'no-shouting/index.ts'), plugin!);
  writeFileSync(join(clone.folder, 'no-shouting/index.test.ts'), tests!);
  assert.match(await works('npx node --test no-shouting/index.test.ts'), /pass 1\n/);

  const config = JSON.parse(readFileSync(configFile, 'utf8'));
  config.pipelines.inbound.unshift(JSON.parse(ofLanguage('json')[0]!));
  writeFileSync(configFile, JSON.stringify(config, null, 2));
  assert.match(
    await works('npx mailfilter check'),
    /pipeline inbound: no-shouting, .*\n\n0 errors, 0 warnings/s,
  );
  assert.equal(await works('npx mailfilter reload'), 'reloaded\n');

  const listeners = JSON.parse(readFileSync(join(clone.demo, 'data/run/listeners.json'), 'utf8'));
  const { port } = listeners.find(({ name }: { name: string }) => name === 'smtp');
  const inbox = join(clone.demo, 'mail/example.test/alice/new');
  rmSync(inbox, { recursive: true, force: true });
  mkdirSync(inbox);
  const send = (subject: string) =>
    sendOne(port, { to: ['alice@example.test'], message: `Subject: ${subject}\n\nHello.\n` });
  assert.deepEqual(await send('BUY IT NOW, CHEAP'), ['550 5.7.1 please do not shout']);
  assert.match((await send('lunch on monday?'))[0]!, /^250/);
  await until('the message', () => readdirSync(inbox).length === 1);
  assert.match(readFileSync(join(inbox, readdirSync(inbox)[0]!), 'utf8'), /^X-Whispers: yes$/m);
});

test('one message without a server', async (t) => {
  if (requireProgram(t, 'npm') === undefined) return;
  const [make, filter, filterJson] = commands.filter((line) => line.includes('message.eml'));
  await works(make!);
  assert.match(await works(filter!), /^X-Whispers: yes\n.*^Hello\.$/ms);
  const facts = JSON.parse(await works(filterJson!));
  assert.equal(facts.verdict.action, 'continue');
  assert.equal(facts.trace[0].plugin, 'no-shouting');
});

test('run it for real', async (t) => {
  if (requireProgram(t, 'npm') === undefined) return;
  // Users, units and ports below 1024 are the system's: they are left as they are, and files go into the clone.
  const lines = commands.filter((line) => line.includes('/etc/mailfilter'));
  const adapt = (line: string) =>
    line
      .replaceAll('/etc/mailfilter', join(clone.folder, 'etc'))
      .replaceAll('/var/lib/mailfilter', join(clone.folder, 'lib'))
      .replace(/(init server)/, '$1 --address 127.0.0.1 --user nobody');
  const [init, add, check, serve] = lines;
  assert.match(await works(init!, adapt), /example\.org\. MX 10 mx\.example\.org\./);
  const file = join(clone.folder, 'etc/mailfilter.json');
  const text = readFileSync(file, 'utf8').replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:0');
  // The clone lies in a folder that is closed to all but its owner, so the server stays who it is.
  writeFileSync(file, text.replace(/ *"user": .*\n/, ''));
  assert.match(await works(add!, adapt), /^\S{16}\n$/);
  assert.match(await works(check!, adapt), /\n0 errors, 0 warnings\n$/);

  assert.ok(untested.delete(serve!));
  const real = clone.onTerminal(adapt(serve!));
  const listeners = join(clone.folder, 'lib/run/listeners.json');
  t.after(() => real.kill('SIGKILL'));
  await until(
    'the server',
    () => existsSync(join(clone.folder, 'lib/run/mailfilter.pid')) && existsSync(listeners),
    60_000,
  );
  const mx = JSON.parse(readFileSync(listeners, 'utf8'))[0];
  assert.match(
    (await sendOne(mx.port, { to: ['postmaster@example.org'], message: 'Subject: x\n\n' }))[0]!,
    /^250/,
  );
  const inbox = join(clone.folder, 'lib/mail/example.org/ann/new');
  await until(
    'mail for postmaster in the mailbox of ann',
    () => existsSync(inbox) && readdirSync(inbox).length === 1,
  );
  const ended = once(real, 'exit');
  real.stdin!.write('\x03');
  await ended;
});

test('behind Postfix, word for word on a fresh one', async (t) => {
  if (requireProgram(t, 'npm') === undefined) return;
  const behind = commands.indexOf('postfix reload');
  const [init, serve] = commands.slice(behind - 2, behind);
  const folder = join(clone.folder, 'behind');
  const adapt = (line: string) =>
    line.replaceAll('/etc/mailfilter', folder).replaceAll('/var/lib/mailfilter', join(folder, 'data'));
  const said = await works(init!, (line) => `${adapt(line)} --hostname filter.example.test`);
  const [mainText, masterText] = ofLanguage('ini');
  for (const text of [mainText!, masterText!])
    assert.ok(said.includes(`\n${text}`), 'the README has what init prints');

  // Other ports, for these may be taken; everything else as it stands.
  const [filterPort, nextPort] = [await freePort(), await freePort()];
  const ports = (text: string) =>
    text.replaceAll('10025', String(filterPort)).replaceAll('10026', String(nextPort));
  const file = join(folder, 'mailfilter.json');
  const mark = {
    plugin: 'header-rules',
    options: { rules: [rule(undefined, { add: 'X-Filtered', value: 'yes' })] },
  };
  const config = JSON.parse(ports(readFileSync(file, 'utf8')));
  writeFileSync(file, JSON.stringify({ ...config, pipelines: { inbound: [mark] } }));
  const main = Object.fromEntries(
    ports(mainText!)
      .trim()
      .split('\n')
      .map((line) => line.split(' = ')),
  );
  const postfix = await startPostfix(t, { main, master: [ports(masterText!).trimEnd()] });
  if (postfix === undefined) return;
  untested.delete(serve!);
  const filter = clone.onTerminal(adapt(serve!));
  t.after(() => filter.kill('SIGKILL'));
  await until('the filter', () => existsSync(join(folder, 'data/run/listeners.json')), 60_000);
  const letter = { to: ['bob@example.test'], message: 'Subject: hello\n\nHello.\n' };
  assert.match((await sendOne(postfix.port, letter))[0]!, /^250/);
  await until('the message', () => postfix.messages('bob').length === 1, 20_000);
  const [message] = postfix.messages('bob');
  assert.match(message!, /^X-Filtered: yes$/m);
  assert.match(message!, /^Received: .*by filter\.example\.test/ms);
  const ended = once(filter, 'exit');
  filter.stdin!.write('\x03');
  await ended;
});

test('what is left are scripts of npm and commands of the system, and what they name is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(clone.folder, 'package.json'), 'utf8'));
  for (const line of untested) {
    const script = /^npm (?:run )?(\w+)$/.exec(line)?.[1];
    const unit = /^cp (\S+) \/etc\/systemd\/system\/$/.exec(line)?.[1];
    if (script !== undefined) assert.ok(script in scripts, line);
    else if (unit !== undefined) assert.ok(existsSync(join(clone.folder, unit)), line);
    else assert.match(line, /^(?:useradd|systemctl|postfix) /);
  }
});
