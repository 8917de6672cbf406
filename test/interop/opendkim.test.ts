/** OpenDKIM as a milter of our own server: it signs what we take, and verifies what it signed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { requireProgram } from '../kit/require.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

interface Milter {
  readonly address: string;
  /** What the key's TXT record says. */
  readonly record: string;
  stop(): Promise<void>;
}

async function startOpendkim(t: TestContext, mode: 's' | 'v'): Promise<Milter | undefined> {
  const [program, genkey] = [requireProgram(t, 'opendkim'), requireProgram(t, 'opendkim-genkey')];
  if (!program || !genkey) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-opendkim-'));
  chmodSync(directory, 0o755);
  const keys = join(tmpdir(), `mailfilter-opendkim-key-${process.pid}`);
  if (!existsSync(keys)) {
    execFileSync('mkdir', ['-p', keys]);
    execFileSync(genkey, ['-b', '2048', '-d', 'example.org', '-s', 's1', '-D', keys]);
    t.after(() => execFileSync('rm', ['-r', keys]));
  }
  const text = readFileSync(join(keys, 's1.txt'), 'utf8');
  const record = [...text.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join('');
  writeFileSync(join(directory, 'keys'), `s1._domainkey.example.org ${record}\n`);
  const socket = join(directory, 'milter.sock');
  const lines = {
    Syslog: 'no',
    Background: 'no',
    Socket: `local:${socket}`,
    Mode: mode,
    Domain: 'example.org',
    Selector: 's1',
    KeyFile: join(keys, 's1.private'),
    Canonicalization: 'simple/simple',
    InternalHosts: mode === 's' ? '127.0.0.1' : '192.0.2.1',
    TestPublicKeys: join(directory, 'keys'),
    RequireSafeKeys: 'no',
    AuthservID: 'verifier.example.test',
    AlwaysAddARHeader: 'yes',
  };
  const config = join(directory, 'opendkim.conf');
  writeFileSync(
    config,
    Object.entries(lines)
      .map((pair) => `${pair.join(' ')}\n`)
      .join(''),
  );
  const child = spawn(program, ['-f', '-x', config], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  t.after(stop);
  await until('OpenDKIM to listen', () => existsSync(socket));
  return { address: `unix:${socket}`, record, stop };
}

async function serve(t: TestContext, milter: Milter): Promise<TestServer> {
  const inbound = [{ plugin: 'milter', options: { address: milter.address } }];
  const server = await startServer({ inbound });
  t.after(() => server.stop());
  return server;
}

const message = [
  'From: Ann <ann@example.org>',
  'To: alice@example.test',
  'Subject: a subject that is',
  '\tfolded',
  'Date: Sat, 21 Nov 2026 10:00:00 +0000',
  'Message-ID: <1@example.org>',
  '',
  'hello',
  '',
].join('\n');

test('OpenDKIM signs through plugins/milter, its signature verifies, and OpenDKIM says so to us', async (t) => {
  const program = requireProgram(t, 'swaks');
  const signer = program && (await startOpendkim(t, 's'));
  const verifier = signer && (await startOpendkim(t, 'v'));
  if (!verifier) return;
  const signing = await serve(t, signer);
  const sent = await swaks(program, { port: signing.ports.smtp!, to: 'alice@example.test', message });
  assert.match(sent.reply, /^250 /);
  await until('the signed mail', () => signing.messages('alice').length === 1);
  const signed = readFileSync(signing.messages('alice')[0]!, 'latin1');
  // Our own Received stays above or below: it was not shown, and not signed.
  assert.match(signed, /^DKIM-Signature: /m);
  const { results } = await dkimVerify(Buffer.from(signed.replaceAll('\n', '\r\n'), 'latin1'), {
    resolver: async () => [[signer.record]],
  });
  assert.deepEqual(
    results.map(({ status }) => status.result),
    ['pass'],
  );

  const verifying = await serve(t, verifier);
  const again = signed.replace(/^Return-Path:.*\n|^Delivered-To:.*\n/gm, '');
  await swaks(program, { port: verifying.ports.smtp!, to: 'bob@example.test', message: again });
  await until('the verified mail', () => verifying.messages('bob').length === 1);
  const verified = readFileSync(verifying.messages('bob')[0]!, 'latin1');
  assert.match(verified, /^Authentication-Results: verifier\.example\.test;\s+dkim=pass/m);
});

test('OpenDKIM is gone: the policy answers, by default with try again', async (t) => {
  const program = requireProgram(t, 'swaks');
  const signer = program && (await startOpendkim(t, 's'));
  if (!signer) return;
  const server = await serve(t, signer);
  await signer.stop();
  const { reply } = await swaks(program, { port: server.ports.smtp!, to: 'alice@example.test', message });
  assert.match(reply, /^4\d\d /);
  assert.deepEqual(server.messages('alice'), []);
});
