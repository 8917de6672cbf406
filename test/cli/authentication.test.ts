/** The authentication plugins through the commands: `filter` on a signed message, and the order that `check` wants. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { signDkim } from '../../core/auth/dkim/sign.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { runCommand } from '../kit/command.ts';
import { serveZone } from '../kit/dns-server.ts';
import { memorySource } from '../kit/message-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-authentication-'));
const key = makeSigningKey('rsa');
writeFileSync(join(folder, 's1.pem'), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
const dns = await serveZone({
  'example.org': { TXT: ['v=spf1 ip4:192.0.2.1 -all'] },
  's1._domainkey.example.org': { TXT: [keyRecord(key)] },
  '_dmarc.example.org': { TXT: ['v=DMARC1; p=reject'] },
});
after(async () => {
  await dns.close();
  rmSync(folder, { recursive: true, force: true });
});

function configOf(inbound: readonly unknown[]): string {
  const file = join(folder, `config-${Math.random()}.json`);
  const config = {
    hostname: 'mx.example.net',
    domains: ['example.net'],
    dataDirectory: 'data',
    dns: { servers: [dns.address] },
    pipelines: { inbound },
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const text = 'From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nHello.\r\n';

async function signed(): Promise<string> {
  const [value] = await signDkim(
    openMessage(memorySource(text), []),
    [{ domain: 'example.org', selector: 's1', key }],
    {
      now: Date.now(),
      signedNames: ['From', 'To', 'Subject'],
      oversignedNames: ['From'],
      headerCanonicalization: 'relaxed',
      bodyCanonicalization: 'relaxed',
    },
  );
  return `DKIM-Signature: ${value}\r\n${text}`;
}

const verifiers = ['spf', 'dkim-verify', 'arc', 'dmarc'];
const client = [
  '--ip',
  '192.0.2.1',
  '--helo',
  'mail.example.org',
  '--from',
  'ann@example.org',
  '--rcpt',
  'bob@example.net',
];

test('filter prints the results of all checks in one field', async () => {
  const { code, stdout, stderr } = await runCommand(['filter', '-c', configOf(verifiers), ...client], {
    input: await signed(),
  });
  assert.equal(code, 0, stderr);
  const field = /^Authentication-Results: (?:.*\r\n[ \t])*.*\r\n/m
    .exec(stdout)?.[0]
    .replace(/\r\n[ \t]+/g, ' ');
  assert.match(
    field ?? '',
    /^Authentication-Results: mx\.example\.net; spf=pass smtp\.mailfrom=ann@example\.org; spf=none smtp\.helo=mail\.example\.org; dkim=pass header\.d=example\.org header\.s=s1 header\.a=rsa-sha256 header\.b=\S+; arc=none; dmarc=pass header\.from=example\.org\r\n$/,
  );
  assert.match(stdout, /^Received-SPF: pass/m);
});

test('a changed message is refused, for its domain wants that', async () => {
  const changed = (await signed()).replace('hello', 'bye');
  const { code, stderr } = await runCommand(
    [
      'filter',
      '-c',
      configOf(verifiers),
      '--ip',
      '203.0.113.9',
      '--from',
      'ann@example.org',
      '--rcpt',
      'bob@example.net',
    ],
    { input: changed },
  );
  assert.equal(code, 77);
  assert.match(stderr, /refused by the DMARC policy of example\.org/);
});

test('an edit that breaks a foreign signature is told by name', async () => {
  const plugin = join(folder, 'tag.ts');
  writeFileSync(
    plugin,
    `import { changeHeader, definePlugin } from 'mailfilter/plugin';
     export default definePlugin({ name: 'tag', kind: 'mutate', writes: ['header:Subject'],
       hooks: { message: () => ({ edits: [changeHeader('Subject', 1, '[list] hello')] }) } });`,
  );
  const { stdout } = await runCommand(
    ['filter', '--json', '-c', configOf([...verifiers, plugin]), ...client],
    { input: await signed() },
  );
  const { trace } = JSON.parse(stdout) as { trace: { plugin: string; breaksSignatures?: string[] }[] };
  assert.deepEqual(trace.find((entry) => entry.plugin === 'tag')?.breaksSignatures, ['example.org']);
});

const sign = { plugin: 'dkim-sign', options: { domain: 'example.org', selector: 's1', keyFile: 's1.pem' } };
const orders: readonly [name: string, pipeline: readonly unknown[], want: RegExp | undefined][] = [
  ['strip-origin before dkim-sign', ['strip-origin', sign], undefined],
  [
    'strip-origin after dkim-sign',
    [sign, 'strip-origin'],
    /strip-origin edits the message after dkim-sign has signed it/,
  ],
  [
    'strip-origin before dkim-verify',
    ['strip-origin', 'dkim-verify'],
    /strip-origin edits the message before dkim-verify has verified it/,
  ],
  ['the verifiers, whatever their order', ['dmarc', 'arc', 'dkim-verify', 'spf'], undefined],
  ['two signers', [{ ...sign, plugin: 'arc-seal' }, sign], undefined],
];
for (const [name, pipeline, want] of orders) {
  test(`check: ${name}`, async () => {
    const { code, stdout, stderr } = await runCommand(['check', '-c', configOf(pipeline)]);
    const said = `${stdout}${stderr}`;
    if (want === undefined) assert.doesNotMatch(said, /the order is verify, score, mutate, sign/);
    else {
      assert.equal(code, 1);
      assert.match(said, want);
    }
  });
}

test('check finds a key that cannot be read before the server starts without it', async () => {
  const options = { domain: 'example.org', selector: 's1', keyFile: 'nowhere.pem' };
  const { code, stdout } = await runCommand(['check', '-c', configOf([{ plugin: 'dkim-sign', options }])]);
  assert.equal(code, 1);
  assert.match(stdout, /key s1\._domainkey\.example\.org: .*nowhere\.pem cannot be used: ENOENT/);
});
