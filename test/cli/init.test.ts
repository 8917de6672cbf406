/** `mailfilter init server`: what it writes is a config that loads, and nothing that was there is replaced. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../core/config/load.ts';
import { runCommand } from '../kit/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-init-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const directory = join(folder, 'server');

test('init, and init again', async () => {
  const args = [
    'init',
    'server',
    '--domain',
    'example.org',
    'Bücher.example',
    '--hostname',
    'mx.example.org',
  ];
  const first = await runCommand([...args, '--directory', directory, '--offset', '2000']);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /example\.org\. MX 10 mx\.example\.org\./);
  assert.match(first.stdout, /xn--bcher-kva\.example\. TXT "v=spf1 mx -all"/);
  assert.match(first.stdout, /PTR mx\.example\.org\./);
  assert.match(
    first.stdout,
    /mail\._domainkey\.xn--bcher-kva\.example\. TXT "v=DKIM1; k=rsa; p=[^"]{200,240}" "[^"]+"/,
  );
  assert.match(
    first.stdout,
    /_dmarc\.example\.org\. TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example\.org"/,
  );

  const config = loadConfig(join(directory, 'mailfilter.json'));
  assert.deepEqual(
    config.listeners.map(({ protocol, address, tls }) => [
      protocol,
      address.kind === 'tcp' && address.port,
      tls,
    ]),
    [
      ['smtp', 2025, 'starttls'],
      ['submission', 2587, 'starttls'],
      ['submission', 2465, 'implicit'],
      ['imap', 2143, 'starttls'],
      ['imap', 2993, 'implicit'],
      ['pop3', 2110, 'starttls'],
      ['pop3', 2995, 'implicit'],
      ['managesieve', 6190, 'starttls'],
    ],
  );
  assert.deepEqual(config.domains, ['example.org', 'xn--bcher-kva.example']);
  assert.equal(config.routes.at(-1)?.action.kind, 'reject');
  const certificate = new X509Certificate(readFileSync(join(directory, 'cert.pem')));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(join(directory, 'key.pem')))));
  assert.equal(certificate.checkHost('mx.example.org'), 'mx.example.org');
  for (const secret of ['key.pem', 'users.json', 'dkim.pem'])
    assert.equal(statSync(join(directory, secret)).mode & 0o777, 0o600);

  const before = readFileSync(join(directory, 'mailfilter.json'), 'utf8');
  const again = await runCommand([...args, '--directory', directory]);
  assert.equal(again.code, 73);
  assert.match(again.stderr, /mailfilter\.json is there already/);
  assert.equal(readFileSync(join(directory, 'mailfilter.json'), 'utf8'), before);
});

test('--json prints the facts', async () => {
  const { stdout } = await runCommand([
    'init',
    'server',
    '--domain',
    'a.example',
    '--directory',
    join(folder, 'j'),
    '--json',
  ]);
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    config: join(folder, 'j/mailfilter.json'),
    domains: ['a.example'],
  });
});

const wrong: readonly { name: string; args: string[]; want: RegExp }[] = [
  { name: 'no domain', args: [], want: /--domain/ },
  { name: 'a domain that is none', args: ['--domain', 'a b'], want: /a b is no domain name/ },
  {
    name: 'a hostname that is none',
    args: ['--domain', 'a.example', '--hostname', '..'],
    want: /--hostname/,
  },
  { name: 'an offset that is none', args: ['--domain', 'a.example', '--offset', 'x'], want: /--offset x/ },
];
for (const { name, args, want } of wrong) {
  test(`usage: ${name}`, async () => {
    const { code, stderr } = await runCommand([
      'init',
      'server',
      '--directory',
      join(folder, 'wrong'),
      ...args,
    ]);
    assert.equal(code, 64);
    assert.match(stderr, want);
  });
}

const ways = [
  { way: ['milter'], protocol: 'milter', mtas: ['Postfix', 'Sendmail'] },
  { way: ['content-filter'], protocol: 'content-filter', mtas: ['Postfix', 'Exim'] },
  { way: ['content-filter', '--before-queue'], protocol: 'proxy-filter', mtas: ['Postfix'] },
  { way: ['mda'], protocol: undefined, mtas: ['Postfix', 'Exim', 'Sendmail', 'OpenSMTPD'] },
];
for (const { way, protocol, mtas } of ways) {
  test(`init ${way.join(' ')}: a config, and lines for ${mtas.join(', ')}`, async () => {
    const target = join(folder, way.join('-'));
    const args = ['init', ...way, '--directory', target, '--hostname', 'mx.example.org'];
    const { code, stdout, stderr } = await runCommand([...args, '--json']);
    assert.equal(code, 0, stderr);
    const facts = JSON.parse(stdout);
    assert.deepEqual([...new Set(facts.mta.map(({ mta }: { mta: string }) => mta))], mtas);
    const written = JSON.parse(readFileSync(facts.config, 'utf8'));
    const listeners = Object.values(written.listeners ?? {}) as { protocol: string }[];
    assert.deepEqual(
      listeners.map((listener) => listener.protocol),
      protocol ? [protocol] : [],
    );
    const again = await runCommand(args);
    assert.equal(again.code, 73);
    assert.match(again.stderr, /is there already/);
    const check = await runCommand(['check', '-c', facts.config]);
    assert.equal(check.code, 0, check.stdout + check.stderr);
  });
}
