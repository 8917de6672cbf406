/** `mailfilter auth` and `mailfilter dkim keygen`: answers with every step and every answer of DNS. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sealArc } from '../../core/auth/arc/seal.ts';
import { keyRecord, makeSigningKey, readSigningKey } from '../../core/auth/dkim/private-key.ts';
import { signDkim } from '../../core/auth/dkim/sign.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { runCommand } from '../kit/command.ts';
import { type DnsServer, serveZone } from '../kit/dns-server.ts';
import { memorySource } from '../kit/message-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-auth-'));
const key = makeSigningKey('ed25519');
const signing = { domain: 'example.org', selector: 's1', key };
let dns: DnsServer;

before(async () => {
  dns = await serveZone({
    'example.org': { TXT: ['v=spf1 a:mail.example.org include:inc.example.org -all exp=why.example.org'] },
    'why.example.org': { TXT: ['%{i} is not one of ours'] },
    'mail.example.org': { A: ['192.0.2.10'] },
    'inc.example.org': { TXT: ['v=spf1 ip4:198.51.100.0/24 ~all'] },
    's1._domainkey.example.org': { TXT: [keyRecord(key)] },
    '_dmarc.example.org': { TXT: ['v=DMARC1; p=reject'] },
    'broken.example': 'SERVFAIL',
  });
});
after(async () => {
  await dns.close();
  rmSync(folder, { recursive: true, force: true });
});

const text = 'From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nHello.\r\n';
const open = (message: string) => openMessage(memorySource(message), []);
const names = { signedNames: ['From', 'Subject'], oversignedNames: [] };

async function signed(): Promise<string> {
  const [value] = await signDkim(open(text), [signing], {
    now: Date.now(),
    ...names,
    headerCanonicalization: 'relaxed',
    bodyCanonicalization: 'relaxed',
  });
  return `DKIM-Signature: ${value}\r\n${text}`;
}

async function ask(args: readonly string[], input = '') {
  const json = await runCommand(['auth', ...args, '--dns', dns.address, '--json'], { input });
  assert.equal(json.code, 0, json.stderr);
  const plain = await runCommand(['auth', ...args, '--dns', dns.address], { input });
  return { answer: JSON.parse(json.stdout), plain: plain.stdout };
}

test('spf: the terms in order, and what DNS said', async () => {
  const { answer, plain } = await ask([
    'spf',
    '--ip',
    '192.0.2.10',
    '--from',
    'ann@example.org',
    '--helo',
    'mail.example.org',
  ]);
  assert.equal(answer.result, 'pass');
  assert.deepEqual(answer.steps, ['example.org: a:mail.example.org matches']);
  assert.ok(
    answer.dns.some(
      ({ type, name }: { type: string; name: string }) => type === 'A' && name === 'mail.example.org',
    ),
  );
  assert.match(plain, /^spf=pass\n/);
  assert.match(plain, /^A +mail\.example\.org +\d+ +192\.0\.2\.10$/m);
});

test('spf: a fail with the words of the domain, a failure of DNS, the null sender', async () => {
  const refused = await ask(['spf', '--ip', '203.0.113.5', '--from', 'ann@example.org']);
  assert.equal(refused.answer.result, 'fail');
  assert.equal(refused.answer.mailFrom.explanation, '203.0.113.5 is not one of ours');
  const broken = await ask(['spf', '--ip', '203.0.113.5', '--from', 'ann@broken.example']);
  assert.equal(broken.answer.result, 'temperror');
  assert.match(broken.plain, /failed: DNS TXT broken\.example: servfail/);
  const bounce = await ask(['spf', '--ip', '192.0.2.10', '--helo', 'example.org']);
  assert.equal(bounce.answer.result, 'pass');
  assert.deepEqual(bounce.answer.auth[0].properties, { 'smtp.helo': 'example.org' });
});

test('dkim: a signature that verifies, one that does not, none', async () => {
  const message = await signed();
  const good = await ask(['dkim'], message);
  assert.equal(good.answer.result, 'pass');
  assert.match(good.plain, /s1\._domainkey\.example\.org ed25519-sha256, key of 256 bits: pass/);
  assert.equal((await ask(['dkim'], message.replace('hello', 'hallo'))).answer.result, 'fail');
  assert.equal((await ask(['dkim'], text)).answer.result, 'none');
});

test('dmarc: alignment and policy', async () => {
  const good = await ask(['dmarc'], await signed());
  assert.equal(good.answer.result, 'pass');
  const bad = await ask(['dmarc', '--ip', '203.0.113.5', '--from', 'eve@evil.example'], text);
  assert.equal(bad.answer.result, 'fail');
  assert.equal(bad.answer.policy, 'reject');
  assert.match(bad.plain, /policy of example\.org: reject/);
});

test('arc: a chain of one, and none', async () => {
  const set = await sealArc(open(text), {
    key: signing,
    now: Date.now(),
    cv: 'none',
    results: 'mx.example.org; none',
    signedNames: ['From'],
  });
  const sealed = `ARC-Seal: ${set!.seal}\r\nARC-Message-Signature: ${set!.messageSignature}\r\nARC-Authentication-Results: ${set!.results}\r\n${text}`;
  const good = await ask(['arc'], sealed);
  assert.equal(good.answer.result, 'pass', good.plain);
  assert.match(good.plain, /set 1 sealed by example\.org/);
  assert.equal((await ask(['arc'], text)).answer.result, 'none');
});

test('the servers of a config are asked', async () => {
  const config = join(folder, 'mailfilter.json');
  writeFileSync(
    config,
    JSON.stringify({ hostname: 'mx.example.org', dataDirectory: 'data', dns: { servers: [dns.address] } }),
  );
  const { stdout } = await runCommand([
    'auth',
    'spf',
    '--ip',
    '192.0.2.10',
    '--from',
    'a@example.org',
    '-c',
    config,
  ]);
  assert.match(stdout, /^spf=pass/);
});

test('what cannot be asked is said', async () => {
  const wrong = await runCommand([
    'auth',
    'spf',
    '--ip',
    'x',
    '--from',
    'a@example.org',
    '--dns',
    dns.address,
  ]);
  assert.equal(wrong.code, 64);
  assert.match(wrong.stderr, /--ip x is no IP address/);
});

for (const type of ['rsa', 'ed25519'] as const) {
  test(`keygen writes an ${type} key that only its owner reads, and the record that belongs to it`, async () => {
    const file = join(folder, `${type}.pem`);
    const args = [
      'dkim',
      'keygen',
      '--domain',
      'Example.org',
      '--selector',
      'k1',
      '--type',
      type,
      '--out',
      file,
    ];
    const { code, stdout, stderr } = await runCommand([...args, '--json']);
    assert.equal(code, 0, stderr);
    const facts = JSON.parse(stdout);
    assert.equal(facts.name, 'k1._domainkey.example.org');
    assert.equal(facts.text, keyRecord(createPrivateKey(readFileSync(file))));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(
      readSigningKey({ domain: 'example.org', selector: 'k1', keyFile: file }, '/').selector,
      'k1',
    );
    const again = await runCommand(args);
    assert.equal(again.code, 73);
    assert.match(again.stderr, /is there already/);
  });
}

test('keygen prints strings that fit into a record', async () => {
  const file = join(folder, 'long.pem');
  const { stdout } = await runCommand([
    'dkim',
    'keygen',
    '--domain',
    'example.org',
    '--selector',
    'k2',
    '--bits',
    '4096',
    '--out',
    file,
  ]);
  const strings = [...stdout.matchAll(/"((?:v=DKIM1|[A-Za-z0-9+/=; ])[^"]*)"/g)]
    .map(([, string]) => string!)
    .filter((string) => string.length > 100);
  assert.ok(strings.length >= 3);
  assert.ok(strings.every((string) => string.length <= 255));
});
