/** strip-origin: what goes and what stays, whose mail it touches, and that Received stays valid. RFC 5321 section 4.4. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatReceived, parseReceived, receivedFromIp } from 'mailfilter/mail';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import stripOrigin from '../../plugins/strip-origin/index.ts';
import { defaultHeaders } from '../../plugins/strip-origin/names.ts';

const own = formatReceived({
  helo: 'laptop.lan',
  ip: '203.0.113.9',
  remoteName: 'host.isp.example',
  hostname: 'mx.example.test',
  lmtp: false,
  esmtp: true,
  smtputf8: false,
  tls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  authenticated: true,
  id: 'tx9',
  recipients: ['bob@example.org'],
  date: Date.UTC(2026, 10, 21, 6, 0, 0),
}).replaceAll('\r\n', '\n');

const foreign =
  'Received: from phone (phone.lan [10.0.0.7]) by gateway.lan (Postfix, from userid 1000)\n\twith ESMTP id 42; Sat, 21 Nov 2026 05:59:58 +0000';

const rest = `From: Alice <alice@example.test>
To: bob@example.org
Subject: hello
Date: Sat, 21 Nov 2026 06:00:00 +0000
Message-ID: <1234@laptop.lan>
X-Originating-IP: [203.0.113.9]
User-Agent: Program/1.0
x-mailer: Program
X-Mailer: again
X-Keep: this
X-Desk: 7
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain
X-Mailer: inside a part

User-Agent: in the text
--b--
`;
const message = `Received: ${own}\n${foreign}\n${rest}`;

type Options = NonNullable<TestSetup['options']>;
const user = { session: { user: 'alice@example.test' } };

function run(options: Options = {}, input: TestInput = user) {
  return testPlugin(stripOrigin, { options, domains: ['example.test'], hostname: 'mx.example.test' }).message(
    {
      id: 'tx9',
      sender: 'alice@example.test',
      message,
      ...input,
    },
  );
}

/** The header's fields, unfolded. */
function fields(text: string): string[] {
  return text
    .split('\n\n', 1)[0]!
    .replace(/\n[ \t]+/g, ' ')
    .split('\n');
}
const receiveds = (text: string) => fields(text).filter((field) => field.startsWith('Received:'));

test('strip-origin: the built-in list goes, all else stays byte for byte', async () => {
  const { message: after, answer } = await run({ received: 'keep' });
  const want = message.replace(/^(?:X-Originating-IP|User-Agent|X-Mailer):.*\n/gim, (line) =>
    line.includes('inside') || line.includes('in the text') ? line : '',
  );
  assert.equal(after, want);
  assert.deepEqual(answer.result, { changed: ['X-Originating-IP', 'User-Agent', 'X-Mailer'] });
});

test('strip-origin: every field of the built-in list goes', async () => {
  const names = defaultHeaders.map((name) => name.replace('*', 'Something'));
  const { message: after } = await run(
    {},
    { ...user, message: `From: a\n${names.map((name) => `${name}: x\n`).join('')}\nbody\n` },
  );
  assert.equal(after, 'From: a\n\nbody\n');
});

test('strip-origin: our Received is rewritten and stays valid', async () => {
  const { message: after } = await run();
  const [first, second] = receiveds(after);
  assert.equal(
    first,
    'Received: from authenticated-user (unknown) by mx.example.test with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) id tx9 for <bob@example.org>; Sat, 21 Nov 2026 06:00:00 +0000',
  );
  const read = parseReceived(first!.slice('Received: '.length));
  assert.deepEqual(
    read.clauses.map(({ name }) => name),
    ['from', 'by', 'with', 'id', 'for'],
  );
  assert.equal(read.date, Date.UTC(2026, 10, 21, 6, 0, 0));
  assert.equal(receivedFromIp(read), undefined);
  assert.match(second!, /phone\.lan/);
  for (const secret of ['203.0.113.9', 'host.isp.example', 'laptop.lan ('])
    assert.ok(!after.includes(secret), secret);
});

const receivedCases: readonly [name: string, options: Options, want: readonly RegExp[]][] = [
  ['rewrite', {}, [/from authenticated-user/, /phone\.lan/]],
  ['remove', { received: 'remove' }, [/phone\.lan/]],
  ['keep', { received: 'keep' }, [/203\.0\.113\.9/, /phone\.lan/]],
  ['keep all', { received: 'keep', allReceived: true }, [/203\.0\.113\.9/, /phone\.lan/]],
  ['remove all', { received: 'remove', allReceived: true }, []],
  [
    'rewrite all',
    { allReceived: true },
    [
      /^Received: from authenticated-user/,
      /^Received: from authenticated-user \(unknown\) by gateway\.lan with ESMTP id 42; Sat, 21 Nov/,
    ],
  ],
];
for (const [name, options, want] of receivedCases) {
  test(`strip-origin received: ${name}`, async () => {
    const found = receiveds((await run(options)).message);
    assert.equal(found.length, want.length);
    for (const [index, pattern] of want.entries()) assert.match(found[index]!, pattern);
  });
}

test('strip-origin: a deeper Received that cannot be read is removed, not left', async () => {
  const odd = `Received: ${own}\nReceived: (from www@localhost) secret 10.0.0.7\nReceived: by x; no date\n${rest}`;
  const found = receiveds((await run({ allReceived: true }, { ...user, message: odd })).message);
  assert.equal(found.length, 1);
  assert.match(found[0]!, /authenticated-user/);
});

test('strip-origin: a first Received that is not ours stays, and the trace says so', async () => {
  const { message: after, log } = await run({}, { ...user, id: 'other' });
  assert.match(receiveds(after)[0]!, /203\.0\.113\.9/);
  assert.deepEqual(log, [{ event: 'own-received-unseen', facts: { door: 'smtp' } }]);
  assert.ok(!after.includes('X-Originating-IP'));
});

test('strip-origin: an id that only begins like ours is not ours', async () => {
  const { message: after, log } = await run({}, { ...user, id: 'tx' });
  assert.match(receiveds(after)[0]!, /203\.0\.113\.9/);
  assert.equal(log[0]?.event, 'own-received-unseen');
});

const whose: readonly [name: string, input: TestInput, touched: boolean, options?: Options][] = [
  ['an authenticated user', user, true],
  ['a submission listener', { connection: { door: 'submission' } }, true],
  ['a stranger', {}, false],
  ['a trusted client', { connection: { trusted: true } }, false],
  ['a trusted client where wanted', { connection: { trusted: true } }, true, { trustedClients: true }],
  ['a stranger where trusted clients are', {}, false, { trustedClients: true }],
];
for (const [name, input, touched, options] of whose) {
  test(`strip-origin: mail of ${name} is ${touched ? 'stripped' : 'left alone'}`, async () => {
    const { message: after, answer } = await run(options, input);
    assert.equal(after !== message, touched);
    if (!touched) assert.deepEqual(answer, {});
  });
}

const lists: readonly [name: string, options: Options, gone: readonly string[], kept: readonly string[]][] = [
  ['headers replaces', { headers: ['X-Desk'] }, ['X-Desk'], ['User-Agent', 'X-Mailer', 'X-Originating-IP']],
  ['extraHeaders adds', { extraHeaders: ['x-desk'] }, ['X-Desk', 'User-Agent', 'X-Mailer'], ['X-Keep']],
  [
    'a star',
    { headers: ['X-*'] },
    ['X-Desk', 'X-Keep', 'X-Mailer', 'X-Originating-IP'],
    ['User-Agent', 'Subject'],
  ],
  ['an empty list', { headers: [] }, [], ['X-Desk', 'User-Agent', 'X-Mailer']],
];
for (const [name, options, gone, kept] of lists) {
  test(`strip-origin list: ${name}`, async () => {
    const names = fields((await run(options)).message).map((field) => field.split(':')[0]!.toLowerCase());
    for (const each of gone) assert.ok(!names.includes(each.toLowerCase()), each);
    for (const each of kept) assert.ok(names.includes(each.toLowerCase()), each);
  });
}

const ids: readonly [name: string, id: string, options: Options, want: RegExp][] = [
  ['kept by default', '<1@laptop.lan>', {}, /^<1@laptop\.lan>$/],
  ['names a host', '<1@laptop.lan>', { rewriteMessageId: true }, /^<[0-9a-f]{40}@example\.test>$/],
  [
    'names a host below our domain',
    '<1@pc7.example.test>',
    { rewriteMessageId: true },
    /^<[0-9a-f]{40}@example\.test>$/,
  ],
  ['without a right side', '<1>', { rewriteMessageId: true }, /^<[0-9a-f]{40}@example\.test>$/],
  ['names our domain', '<1@Example.Test>', { rewriteMessageId: true }, /^<1@Example\.Test>$/],
  ['names our host', '<1@mx.example.test>', { rewriteMessageId: true }, /^<1@mx\.example\.test>$/],
];
for (const [name, id, options, want] of ids) {
  test(`strip-origin Message-ID: ${name}`, async () => {
    const { message: after } = await run(options, { ...user, message: `Message-ID: ${id}\n\n` });
    assert.match(after.split('\n', 1)[0]!.slice('Message-ID: '.length), want);
  });
}

test('strip-origin Message-ID: the same original becomes the same, another another', async () => {
  const hidden = async (id: string) =>
    (await run({ rewriteMessageId: true }, { ...user, message: `Message-ID: ${id}\n\n` })).message;
  assert.equal(await hidden('<1@laptop.lan>'), await hidden('<1@laptop.lan>'));
  assert.notEqual(await hidden('<1@laptop.lan>'), await hidden('<2@laptop.lan>'));
});

test('strip-origin Message-ID: none is made', async () => {
  const { message: after } = await run({ rewriteMessageId: true }, { ...user, message: 'Subject: x\n\n' });
  assert.equal(after, 'Subject: x\n\n');
});

const mistakes: readonly [name: string, options: Options, want: RegExp][] = [
  ['Received has its own option', { headers: ['Received'] }, /the option "received" is for that/],
  ['From', { extraHeaders: ['from'] }, /covers from, without which the message breaks/],
  ['a star over Content-Type', { headers: ['Content-*'] }, /covers content-type/],
  ['a star alone', { headers: ['*'] }, /headers/],
  ['no field name', { headers: ['X Y'] }, /headers\/0/],
  ['an unknown choice', { received: 'hide' }, /received/],
  ['an unknown option', { header: [] }, /unknown option "header"/],
];
for (const [name, options, want] of mistakes) {
  test(`strip-origin does not load: ${name}`, async () => {
    await assert.rejects(async () => run(options), want);
  });
}
