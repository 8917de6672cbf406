/** arc and arc-seal: a message goes through two forwarders, and the last one knows what the first one found. RFC 8617. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { keyRecord, makeSigningKey } from 'mailfilter/auth';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import arc from '../../plugins/arc/index.ts';
import arcSeal from '../../plugins/arc-seal/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-arc-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const keys = { 'one.test': makeSigningKey('rsa', 1024), 'two.test': makeSigningKey('ed25519') };
for (const [domain, key] of Object.entries(keys)) {
  writeFileSync(join(folder, `${domain}.pem`), key.export({ type: 'pkcs8', format: 'pem' }));
}
const dns = Object.fromEntries(
  Object.entries(keys).map(([domain, key]) => [`s._domainkey.${domain}`, { TXT: [keyRecord(key)] }]),
);
const mail = 'From: Ann <ann@example.org>\nTo: list@one.test\nSubject: hello\n\nHello.\n';
const results = (host: string, text: string, message = mail) =>
  `Authentication-Results: ${host};\n\t${text}\n${message}`;

function sealer(domain: string, hostname = `mx.${domain}`) {
  const options = { domain, selector: 's', keyFile: `${domain}.pem` };
  return testPlugin(arcSeal, { options, baseDirectory: folder, hostname, dns });
}
const verify = (
  message: string,
  options: NonNullable<TestSetup['options']> = {},
  zone: TestSetup['dns'] = dns,
) => testPlugin(arc, { options, dns: zone }).message({ message });
const word = async (message: string) => (await verify(message)).answer.auth![0]!.result;

async function twice(): Promise<string> {
  const first = await sealer('one.test').send({
    message: results('mx.one.test', 'arc=none;\n\tdmarc=pass header.from=example.org'),
  });
  const second = results(
    'mx.two.test',
    'arc=pass header.d=one.test header.i=1;\n\tdmarc=fail header.from=example.org',
    first.message,
  );
  return (await sealer('two.test').send({ message: second })).message;
}

test('no chain', async () => {
  const { answer } = await verify(mail);
  assert.deepEqual(answer.auth, [{ method: 'arc', result: 'none' }]);
});

test('two sets, by an RSA and an Ed25519 key', async () => {
  const { answer } = await verify(await twice(), { trustedSealers: ['one.test', 'two.test'] });
  assert.deepEqual(answer.auth, [
    { method: 'arc', result: 'pass', properties: { 'header.d': 'two.test', 'header.i': '2' } },
  ]);
  assert.deepEqual(answer.result, {
    result: 'pass',
    instances: 2,
    sealers: ['one.test', 'two.test'],
    trusted: true,
    dmarc: 'pass',
  });
});

test('nobody is trusted unless listed, and all of a chain must be', async () => {
  for (const trustedSealers of [[], ['one.test'], ['two.test']]) {
    const { answer } = await verify(await twice(), { trustedSealers });
    assert.equal((answer.result as { trusted: boolean }).trusted, false);
  }
});

const changes: readonly [name: string, change: (text: string) => string, want: string][] = [
  ['nothing', (text) => text, 'pass'],
  ['the body', (text) => text.replace('Hello.', 'Hallo.'), 'fail'],
  ['the subject', (text) => text.replace('Subject: hello', 'Subject: bye'), 'fail'],
  ['what the first one found', (text) => text.replace('dmarc=pass', 'dmarc=none'), 'fail'],
  [
    'the older set taken away',
    (text) =>
      text.replace(
        /(?<=mx\.two\.test;.*\n.*\n.*\n)ARC-Seal: [\s\S]*?(?=Authentication-Results: mx\.one)/,
        '',
      ),
    'fail',
  ],
  ['a field of a set taken away', (text) => text.replace(/ARC-Seal: [\s\S]*?(?=ARC-Message)/, ''), 'fail'],
  ['an instance twice', (text) => text.replace(/i=2/g, 'i=1'), 'fail'],
  ['another field', (text) => `X-Seen: yes\n${text}`, 'pass'],
];
for (const [name, change, want] of changes) {
  test(`changed: ${name}`, async () => {
    const sealed = await twice();
    if (name !== 'nothing') assert.notEqual(change(sealed), sealed);
    assert.equal(await word(change(sealed)), want);
  });
}

test('a chain that broke is sealed as failed once, and then no more', async () => {
  const broken = (await twice()).replace('Hello.', 'Hallo.');
  const sealed = await sealer('one.test').send({ message: results('mx.one.test', 'arc=fail', broken) });
  assert.match(sealed.message, /^ARC-Seal: [\s\S]*? cv=fail;[\s\S]*? i=3;/);
  assert.equal(await word(sealed.message), 'fail');
  const again = await sealer('two.test').send({
    message: results('mx.two.test', 'arc=fail', sealed.message),
  });
  assert.deepEqual(again.edits, []);
});

test('without results of ours nothing is sealed: our own mail, and that of another host', async () => {
  for (const message of [mail, results('mx.elsewhere.test', 'dmarc=pass')]) {
    assert.deepEqual((await sealer('one.test').send({ message })).edits, []);
  }
});

test('where the pipeline of arrival had no arc the chain is verified when it is sealed', async () => {
  const { answer } = await sealer('one.test', 'mx.three.test').send({
    message: results('mx.three.test', 'dmarc=pass', await twice()),
  });
  assert.deepEqual(answer.result, { sealed: 'one.test', chain: 'pass' });
});

test('behind a milter it seals what the verifiers found in the same stage', async () => {
  const input: TestInput = {
    message: mail,
    connection: { door: 'milter' },
    auth: [{ method: 'dmarc', result: 'pass' }],
  };
  const { message } = await sealer('one.test').message(input);
  assert.match(message, /ARC-Authentication-Results: i=1; mx\.one\.test;\n\tdmarc=pass/);
  assert.equal(await word(message), 'pass');
  assert.deepEqual((await sealer('one.test').message({ ...input, connection: { door: 'smtp' } })).edits, []);
});

test('no answer of DNS: known is nothing, and nothing is sealed', async () => {
  const down = { 's._domainkey.two.test': 'SERVFAIL' as const };
  const sealed = await twice();
  assert.equal((await verify(sealed, {}, down)).answer.auth![0]!.result, 'temperror');
  await assert.rejects(verify(sealed, { temperror: 'failure' }, down), /ARC: /);
  const { edits } = await sealer('one.test').send({
    message: results('mx.one.test', 'arc=temperror', sealed),
  });
  assert.deepEqual(edits, []);
});
