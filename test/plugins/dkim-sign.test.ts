/** dkim-sign: where it signs, whose mail, with which keys, and never what a stranger forged. RFC 6376. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { keyRecord, makeSigningKey } from 'mailfilter/auth';
import { type TestInput, type TestSetup, testDns, testPlugin } from 'mailfilter/testing';
import { verifyDkim } from '../../core/auth/dkim/verify.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import dkimSign from '../../plugins/dkim-sign/index.ts';
import { memorySource } from '../kit/message-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-sign-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const keys = {
  r1: makeSigningKey('rsa', 1024),
  r2: makeSigningKey('rsa', 1024),
  e1: makeSigningKey('ed25519'),
};
for (const [name, key] of Object.entries(keys)) {
  writeFileSync(join(folder, `${name}.pem`), key.export({ type: 'pkcs8', format: 'pem' }));
}
const dns = testDns(
  Object.fromEntries(
    Object.entries(keys).flatMap(([name, key]) =>
      ['example.test', 'other.test'].map((domain) => [
        `${name}._domainkey.${domain}`,
        { TXT: [keyRecord(key)] },
      ]),
    ),
  ),
);
const now = Date.parse('2026-11-21');
const clock = { now: () => now, monotonicMs: () => performance.now() };
const entry = (selector: string, more: Record<string, string> = {}) => ({
  domain: 'example.test',
  selector,
  keyFile: `${selector}.pem`,
  ...more,
});
const single = { domain: 'example.test', selector: 'r1', keyFile: 'r1.pem' };
const mail = 'From: Alice <alice@example.test>\nTo: bob@example.org\nSubject: hello\n\nHello.\n';
const ours: TestInput = {
  message: mail,
  session: { user: 'alice@example.test' },
  connection: { door: 'submission' },
};

function plugin(options: NonNullable<TestSetup['options']> = single) {
  return testPlugin(dkimSign, { options, baseDirectory: folder, clock });
}

/** `selector@domain result` of each signature. */
async function verified(message: string): Promise<string[]> {
  const source = memorySource(message.replaceAll('\n', '\r\n'));
  const results = await verifyDkim(openMessage(source, []), dns, { now });
  return results.map(({ selector, domain, result }) => `${selector}@${domain} ${result}`);
}

test('what we send is signed, and verifies', async () => {
  const { message, answer } = await plugin().send(ours);
  assert.deepEqual(await verified(message), ['r1@example.test pass']);
  assert.deepEqual(answer.result, { signed: ['r1._domainkey.example.test'] });
  assert.match(message, /^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/relaxed; d=example\.test; s=r1;/);
});

test('all keys of the domain that are in their time sign together', async () => {
  const options = {
    keys: [entry('r1', { until: '2026-11-21' }), entry('r2', { from: '2026-11-21' }), entry('e1')],
  };
  const { message } = await plugin(options).send(ours);
  assert.deepEqual((await verified(message)).sort(), ['e1@example.test pass', 'r2@example.test pass']);
});

test('a day without a key is a failure, not mail unsigned', async () => {
  await assert.rejects(
    plugin({ keys: [entry('r1', { until: '2026-01-01' })] }).send(ours),
    /no key for example\.test is in its time/,
  );
});

const froms: readonly [
  name: string,
  from: string,
  options: NonNullable<TestSetup['options']>,
  want: string[],
][] = [
  ['a subdomain', 'a@mail.example.test', single, ['r1@example.test pass']],
  [
    'the nearest domain above',
    'a@x.other.test',
    { keys: [entry('r1'), { ...entry('r2'), domain: 'other.test' }] },
    ['r2@other.test pass'],
  ],
  ['no key for the domain', 'a@elsewhere.test', single, []],
  ['a fallback', 'a@elsewhere.test', { ...single, fallbackDomain: 'example.test' }, ['r1@example.test pass']],
  ['a name that only ends alike', 'a@notexample.test', single, []],
];
for (const [name, from, options, want] of froms) {
  test(`author: ${name}`, async () => {
    const message = mail.replace('alice@example.test', from);
    const sent = await plugin(options).send({ ...ours, message });
    assert.deepEqual(await verified(sent.message), want);
  });
}

const results = (value: string) => `Authentication-Results: mx.example.test;\n\t${value}\n${mail}`;
const sentOn = { connection: { door: 'mda', trusted: true, remoteIp: '' } } as const;
const whose: readonly [name: string, input: TestInput, signed: boolean][] = [
  ['of a user', ours, true],
  ['of a user, when it leaves', { ...sentOn, message: mail, envelope: { origin: 'user' } }, true],
  ['of a trusted network', { ...sentOn, message: mail, envelope: { origin: 'trusted' } }, true],
  ['of the house', { ...sentOn, message: mail, envelope: { origin: 'house' } }, true],
  ['of a stranger', { ...sentOn, message: mail }, false],
  [
    'of a stranger, DMARC passed',
    { ...sentOn, message: results('dmarc=pass header.from=example.test') },
    true,
  ],
  [
    'of a stranger, DMARC passed for another',
    { ...sentOn, message: results('dmarc=pass header.from=example.org') },
    false,
  ],
  [
    'of a stranger, DMARC failed',
    { ...sentOn, message: results('dmarc=fail header.from=example.test') },
    false,
  ],
  [
    'of a stranger, results of another host',
    {
      ...sentOn,
      message: results('dmarc=pass header.from=example.test').replace('mx.example.test', 'mx.evil.example'),
    },
    false,
  ],
];
for (const [name, input, signed] of whose) {
  test(`mail ${name} is ${signed ? 'signed' : 'not signed'}`, async () => {
    const { message } = await plugin().send(input);
    assert.deepEqual(await verified(message), signed ? ['r1@example.test pass'] : []);
  });
}

test('signAll signs for anybody', async () => {
  const { message } = await plugin({ ...single, signAll: true }).send({ ...sentOn, message: mail });
  assert.deepEqual(await verified(message), ['r1@example.test pass']);
});

test('at the message stage only where another MTA sends', async () => {
  for (const [door, want] of [
    ['milter', 1],
    ['content-filter', 1],
    ['pipe', 1],
    ['submission', 0],
    ['smtp', 0],
  ] as const) {
    const { message } = await plugin().message({ ...ours, connection: { door } });
    assert.equal((await verified(message)).length, want, door);
  }
});

test('a program of this machine is known to a milter by its address alone', async () => {
  const local = { door: 'milter', remoteIp: '127.0.0.1' } as const;
  assert.equal(
    (await verified((await plugin().message({ message: mail, connection: local })).message)).length,
    1,
  );
  const relayed = { ...local, door: 'content-filter' } as const;
  assert.equal(
    (await verified((await plugin().message({ message: mail, connection: relayed })).message)).length,
    0,
  );
});

const wrong: readonly [name: string, options: NonNullable<TestSetup['options']>, error: RegExp][] = [
  ['no key at all', {}, /there is no key/],
  ['half of a key', { domain: 'example.test' }, /belong together/],
  ['a file that is not there', { ...single, keyFile: 'none.pem' }, /none\.pem cannot be used: ENOENT/],
  ['a selector that is none', { ...single, selector: 'a b' }, /"a b" is no selector/],
  ['a key twice', { ...single, keys: [entry('r1')] }, /named twice/],
  ['a date that is none', { keys: [entry('r1', { from: 'soon' })] }, /"soon" is no date/],
];
for (const [name, options, error] of wrong) {
  test(`refused at start: ${name}`, async () => {
    await assert.rejects(plugin(options).send(ours), error);
  });
}

test('behind a milter only what was found in this stage counts, not what the header says', async () => {
  const connection = { door: 'milter', remoteIp: '203.0.113.5' } as const;
  const forged = await plugin().message({
    connection,
    message: results('dmarc=pass header.from=example.test'),
  });
  assert.deepEqual(await verified(forged.message), []);
  const auth = [{ method: 'dmarc', result: 'pass', properties: { 'header.from': 'example.test' } }];
  assert.equal(
    (await verified((await plugin().message({ connection, message: mail, auth })).message)).length,
    1,
  );
});
