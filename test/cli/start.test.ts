/** `mailfilter start`, `demo` and `reload` on one demo installation: from nothing to mail in a mailbox, and again. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ensureDemo } from '../../src/cli/demo-installation.ts';
import { runCommand } from '../kit/command.ts';
import { projectRoot } from '../kit/require.ts';
import { messagesIn, until } from '../kit/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-start-'));
const directory = join(folder, '.mailfilter');
const configFile = join(directory, 'mailfilter.json');
after(() => rmSync(folder, { recursive: true, force: true }));

/** The demo's own ports may be taken on this machine: any free ones instead. */
async function ensureOnFreePorts(): Promise<void> {
  await ensureDemo(directory);
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(/127\.0\.0\.1:2\d{3}/g, '127.0.0.1:0'));
}
before(ensureOnFreePorts);

interface Running {
  readonly child: ChildProcess;
  output(): string;
}

/** What `npm start` runs, in a process group of its own as a terminal makes one. */
async function start(): Promise<Running> {
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  const child = spawn('sh', ['-c', `${scripts.start} --directory '${directory}'`], {
    cwd: projectRoot,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  await until('the introduction', () => output.includes('Ctrl-C stops') || child.exitCode !== null, 20_000);
  return { child, output: () => output };
}

async function stop({ child }: Running, signal: NodeJS.Signals): Promise<unknown> {
  if (child.exitCode !== null) return child.exitCode;
  const ended = once(child, 'exit');
  // Ctrl-C reaches every process of the group.
  process.kill(-child.pid!, signal);
  const [code] = await ended;
  return code;
}

interface Row {
  readonly sent: string;
  readonly verdict: string;
  readonly edits: string[];
  readonly path: string;
  readonly ms: number;
  readonly id: string;
}

async function demo(): Promise<Row[]> {
  const { code, stdout, stderr } = await runCommand(['demo', '--directory', directory, '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test('the installation is private, and kept', async () => {
  const credentials = join(directory, 'demo-credentials');
  const text = readFileSync(credentials, 'utf8');
  assert.match(text, /^alice@example\.test \S{16}\nbob@example\.test \S{16}\n$/);
  for (const secret of [credentials, join(directory, 'key.pem'), join(directory, 'users.json')]) {
    assert.equal(statSync(secret).mode & 0o777, 0o600, secret);
  }
  const before = [readFileSync(configFile, 'utf8'), readFileSync(join(directory, 'cert.pem'), 'utf8')];
  const demo = await ensureDemo(directory);
  assert.equal(readFileSync(credentials, 'utf8'), text);
  assert.deepEqual(
    [readFileSync(configFile, 'utf8'), readFileSync(join(directory, 'cert.pem'), 'utf8')],
    before,
  );
  assert.deepEqual([...demo.credentials.keys()], ['alice@example.test', 'bob@example.test']);
});

test('lost credentials are made anew, for the same users', async () => {
  const other = mkdtempSync(join(tmpdir(), 'mailfilter-lost-'));
  try {
    const first = await ensureDemo(other);
    rmSync(first.credentialsFile);
    const second = await ensureDemo(other);
    assert.notEqual(
      second.credentials.get('alice@example.test'),
      first.credentials.get('alice@example.test'),
    );
    assert.deepEqual(Object.keys(JSON.parse(readFileSync(join(other, 'users.json'), 'utf8')).users).sort(), [
      ...second.credentials.keys(),
    ]);
  } finally {
    rmSync(other, { recursive: true });
  }
});

/** Runs what `start` says below "Read it:", on the ports that are really open. */
function readAsPrinted(said: string): string[] {
  const commands = said.split('Read it:\n')[1]!.split('\n\n')[0]!.split('\n');
  assert.equal(commands.length, 2);
  return commands.map((command) => {
    const [, name] = /'(imaps|pop3s):/.exec(command)!;
    const [, port] = new RegExp(`  ${name}: \\w+ on 127\\.0\\.0\\.1:(\\d+)`).exec(said)!;
    return execFileSync('sh', ['-c', command.replace('127.0.0.1:0/', `127.0.0.1:${port}/`)], {
      encoding: 'utf8',
    });
  });
}

test('start says what listens, what to paste and where it lands; demo sends to it; Ctrl-C ends with 0', async () => {
  const running = await start();
  try {
    const said = running.output();
    for (const listener of ['smtp', 'submission', 'submissions', 'lmtp', 'imap', 'imaps', 'pop3', 'pop3s'])
      assert.match(said, new RegExp(`  ${listener}: `));
    assert.match(said, /npm run demo/);
    assert.match(said, new RegExp(`It lands in ${join(directory, 'mail/example.test/alice/new')}`));
    assert.ok(
      said.includes(
        readFileSync(join(directory, 'demo-credentials'), 'utf8').split('\n')[0]!.replace(' ', '  '),
      ),
    );

    const rows = await demo();
    assert.deepEqual(
      rows.map(({ sent, verdict }) => [sent, verdict.slice(0, 3)]),
      [
        ['ordinary', '250'],
        ['8-bit', '250'],
        ['200 parts', '250'],
        ['huge attachment', '250'],
        ['one to refuse', '550'],
        ['one to edit', '250'],
        ['by a user', '250'],
      ],
    );
    for (const { sent, path, verdict } of rows) {
      if (verdict.startsWith('250')) assert.ok(existsSync(path), `${sent}: ${path}`);
      else assert.equal(path, '');
    }
    const edited = rows.find(({ sent }) => sent === 'one to edit')!;
    assert.deepEqual(edited.edits, ['+ X-Demo-Tag: tagged for alice@example.test', '- X-Remove-Me']);
    const stored = readFileSync(edited.path, 'utf8');
    assert.match(stored, /^X-Demo-Tag: tagged for alice@example\.test$/m);
    assert.doesNotMatch(stored, /X-Remove-Me/);
    const byUser = readFileSync(rows.find(({ sent }) => sent === 'by a user')!.path, 'utf8');
    assert.doesNotMatch(byUser, /X-Originating-IP|DemoMail|127\.0\.0\.1/);

    for (const heard of readAsPrinted(said)) assert.match(heard, /^Subject: /m);

    const story = await runCommand(['explain', '-c', configFile, edited.id]);
    assert.equal(story.code, 0, story.stderr);
    assert.match(story.stdout, /header-rules.*X-Demo-Tag/);

    const checked = await runCommand(['check', '-c', configFile]);
    assert.equal(checked.code, 0, checked.stdout);
    assert.match(checked.stdout, /the running server/);
  } finally {
    assert.equal(await stop(running, 'SIGINT'), 0, running.output());
  }
  assert.equal(messagesIn(join(directory, 'mail/example.test/alice')).length, 5);
});

test('reload takes a changed config over, and keeps the old one when the new is broken', async () => {
  const running = await start();
  const text = readFileSync(configFile, 'utf8');
  try {
    const good = await runCommand(['reload', '-c', configFile]);
    assert.deepEqual([good.code, good.stdout], [0, 'reloaded\n'], good.stderr);

    writeFileSync(join(directory, 'broken.ts'), 'throw new Error("broken on purpose");');
    const config = JSON.parse(text);
    config.pipelines.inbound.push('./broken.ts');
    writeFileSync(configFile, JSON.stringify(config));
    const bad = await runCommand(['reload', '-c', configFile]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /kept its old config.*broken on purpose/s);

    const moved = { ...JSON.parse(text), durability: 'file', dns: { servers: ['127.0.0.1:5353'] } };
    writeFileSync(configFile, JSON.stringify(moved));
    const refused = await runCommand(['reload', '-c', configFile]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /kept its old config: restart needed for: durability, dns/);

    writeFileSync(configFile, text.replace('"hostname"', '"hostnaem"'));
    const unreadable = await runCommand(['reload', '-c', configFile]);
    assert.equal(unreadable.code, 78);
    assert.match(unreadable.stderr, /did you mean "hostname"/);
  } finally {
    writeFileSync(configFile, text);
    assert.equal(await stop(running, 'SIGTERM'), 0, running.output());
  }
});

test('reload without a server says so', async () => {
  const { code, stderr } = await runCommand(['reload', '-c', configFile]);
  assert.equal(code, 69);
  assert.match(stderr, /no server runs on/);
});

test('demo without a server starts its own, and ends it', async () => {
  const rows = await demo();
  assert.equal(rows.length, 7);
  assert.ok(rows.every(({ id }) => id !== ''));
  assert.equal((await runCommand(['reload', '-c', configFile])).code, 69);
});

test('a taken port: names the port, the listener and the option', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const config = JSON.parse(readFileSync(configFile, 'utf8'));
  config.listeners.smtp.address = `127.0.0.1:${port}`;
  const file = join(directory, 'taken.json');
  writeFileSync(file, JSON.stringify(config));
  const { code, stderr } = await runCommand(['serve', '-c', file]);
  assert.notEqual(code, 0);
  assert.match(stderr, new RegExp(`${port}`));
  assert.match(stderr, /smtp/);
  assert.match(stderr, /listeners.*address/);
});
