/** A client before its message: who may send as whom, what hooks of the connection leave, and what a new hello forgets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HookAnswer } from '../../core/session/results.ts';
import type { Answer } from '../../src/flow/session.ts';
import { newTransactionId } from '../../src/flow/transaction.ts';
import { FakeHouse, rightPassword, send, sendIn } from '../kit/fake-house.ts';

const code = (answer: Answer) => (answer ? `${answer.code} ${answer.enhanced}` : 'yes');

const senders = [
  { name: 'a stranger at MX', door: 'smtp', from: 'x@y.test', want: 'yes' },
  { name: 'a stranger at submission', door: 'submission', from: 'x@y.test', want: '530 5.7.0' },
  { name: 'the null path at submission', door: 'submission', from: '', want: '530 5.7.0' },
  {
    name: 'a trusted network at submission',
    door: 'submission',
    trusted: true,
    from: 'x@y.test',
    want: 'yes',
  },
  { name: 'a user as herself', door: 'submission', user: 'alice@example.test', want: 'yes' },
  {
    name: 'a user, letter case aside',
    door: 'submission',
    user: 'alice@example.test',
    from: 'Alice@EXAMPLE.test',
    want: 'yes',
  },
  {
    name: 'a user by an alias',
    door: 'submission',
    user: 'alice@example.test',
    from: 'a.lias@example.test',
    want: 'yes',
  },
  {
    name: 'a user with a subaddress',
    door: 'submission',
    user: 'alice@example.test',
    from: 'alice+list@example.test',
    want: 'yes',
  },
  {
    name: 'a user as another',
    door: 'submission',
    user: 'alice@example.test',
    from: 'bob@example.test',
    want: '553 5.7.1',
  },
  {
    name: 'a user as a stranger',
    door: 'smtp',
    user: 'alice@example.test',
    from: 'x@y.test',
    want: '553 5.7.1',
  },
  { name: 'a user from nobody', door: 'submission', user: 'alice@example.test', from: '', want: 'yes' },
  {
    name: 'a user as another from a trusted network',
    door: 'submission',
    user: 'alice@example.test',
    trusted: true,
    from: 'bob@example.test',
    want: '553 5.7.1',
  },
] as const;

for (const each of senders) {
  test(`MAIL FROM: ${each.name}`, async (t) => {
    const fake = new FakeHouse(t);
    const user = 'user' in each ? each.user : undefined;
    const { mail } = await send(fake, {
      connection: { door: each.door, trusted: 'trusted' in each },
      ...(user === undefined ? {} : { user }),
      from: 'from' in each ? each.from : user,
    });
    assert.equal(code(mail), each.want);
  });
}

test('a user who was disabled or removed since the login sends no more', async (t) => {
  const gone = [[{ address: 'alice@example.test', disabled: true }], [{ address: 'a@example.test' }]];
  for (const users of gone) {
    const fake = new FakeHouse(t, { users: [{ address: 'alice@example.test' }] });
    const session = await fake.connect({ door: 'submission' });
    await session.helo('c', true);
    await session.authenticate('PLAIN', 'alice@example.test', rightPassword);
    fake.house = { ...fake.house, users: new FakeHouse(t, { users }).house.users };
    for (const from of ['alice@example.test', '']) {
      const { mail } = await sendIn(fake, session, { from });
      assert.equal(code(mail), '553 5.7.1');
    }
  }
});

test('a removed user is not the one whose subaddress the name looks like', async (t) => {
  const fake = new FakeHouse(t, { users: [{ address: 'a+b@example.test' }, { address: 'a@example.test' }] });
  const session = await fake.connect();
  await session.authenticate('PLAIN', 'a+b@example.test', rightPassword);
  fake.house = {
    ...fake.house,
    users: new FakeHouse(t, { users: [{ address: 'a@example.test' }] }).house.users,
  };
  assert.equal(code((await sendIn(fake, session, { from: 'a@example.test' })).mail), '553 5.7.1');
});

const logins = [
  { name: 'right', address: 'alice@example.test', want: 'alice@example.test' },
  { name: 'by an alias', address: 'a.lias@example.test', want: 'alice@example.test' },
  { name: 'wrong', address: 'alice@example.test', password: 'wrong', want: '535 5.7.8' },
  { name: 'nobody', address: 'nobody@example.test', want: '535 5.7.8' },
  { name: 'disabled', address: 'gone@example.test', want: '535 5.7.8' },
];

for (const { name, address, password, want } of logins) {
  test(`login: ${name}`, async (t) => {
    const session = await new FakeHouse(t).connect();
    const outcome = await session.authenticate('PLAIN', address, password ?? rightPassword);
    assert.equal('user' in outcome ? outcome.user : code(outcome.refused), want);
  });
}

test('a proxy names the user without a password; nobody and the disabled are refused', async (t) => {
  const session = await new FakeHouse(t).connect();
  assert.deepEqual(await session.assume!('a.lias@example.test'), { user: 'alice@example.test' });
  for (const address of ['gone@example.test', 'nobody@example.test']) {
    const outcome = await session.assume!(address);
    assert.equal('refused' in outcome && code(outcome.refused), '535 5.7.8', address);
  }
});

test('an auth hook that refuses leaves nobody logged in', async (t) => {
  const reject: HookAnswer = { verdict: { action: 'reject', code: 535, enhanced: '5.7.8', text: 'no' } };
  const fake = new FakeHouse(t, { hooks: { auth: () => reject } });
  const { session, mail } = await send(fake, {
    connection: { door: 'submission' },
    user: 'alice@example.test',
  });
  assert.equal(code(mail), '530 5.7.0');
  assert.equal(
    (await session.authenticate('PLAIN', 'alice@example.test', rightPassword)) !== undefined,
    true,
  );
});

test('what helo hooks found counts once, however often a client says hello', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: { connect: () => ({ score: 1 }), helo: () => ({ score: 10 }), mailFrom: () => ({ score: 100 }) },
  });
  const session = await fake.connect();
  await session.helo('one', false);
  await session.helo('two', true);
  await sendIn(fake, session, {});
  session.secured({ protocol: 'TLSv1.3', cipher: 'x' });
  await sendIn(fake, session, {});
  await session.helo('three', true);
  await sendIn(fake, session, {});
  const scores = fake.pipelines.requests
    .filter(({ stages }) => stages.includes('mailFrom'))
    .map(({ state }) => state.score);
  assert.deepEqual(scores, [11, 1, 11]);
});

test('a login outlives another hello, and so does what was found out about it', async (t) => {
  const fake = new FakeHouse(t, { hooks: { auth: () => ({ result: 'seen' }), mailFrom: () => undefined } });
  const session = await fake.connect({ door: 'submission' });
  await session.helo('one', true);
  await session.authenticate('PLAIN', 'alice@example.test', rightPassword);
  await session.helo('two', true);
  assert.equal((await sendIn(fake, session, { from: 'alice@example.test' })).mail, undefined);
  const request = fake.pipelines.requests.find(({ stages }) => stages.includes('mailFrom'))!;
  assert.deepEqual(request.state.results, { scripted: 'seen' });
});

test('TLS forgets the hello and the login', async (t) => {
  const fake = new FakeHouse(t);
  const session = await fake.connect({ door: 'submission' });
  await session.helo('one', true);
  await session.authenticate('PLAIN', 'alice@example.test', rightPassword);
  session.secured({ protocol: 'TLSv1.3', cipher: 'x' });
  assert.equal(code((await sendIn(fake, session, { from: 'alice@example.test' })).mail), '530 5.7.0');
});

const early = ['connect', 'helo', 'mailFrom', 'data'] as const;
for (const hook of early) {
  test(`discard at ${hook}: a yes, and the message goes nowhere`, async (t) => {
    const fake = new FakeHouse(t, {
      hooks: { [hook]: () => ({ verdict: { action: 'discard', reason: 'junk' } }) },
    });
    const { replies } = await send(fake);
    assert.deepEqual(
      replies.map((reply) => reply.code),
      [250],
    );
    assert.equal(fake.kept.length, 0);
    assert.equal(fake.releases, 1);
    assert.equal(fake.traces[0]?.outcome, 'discarded');
  });
}

test('a hook that refuses MAIL or DATA is the answer', async (t) => {
  const reject: HookAnswer = { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' } };
  const atMail = new FakeHouse(t, { hooks: { mailFrom: () => reject } });
  assert.equal(code((await send(atMail)).mail), '550 5.7.1');
  const atData = new FakeHouse(t, { hooks: { data: () => reject } });
  const sent = await send(atData);
  assert.deepEqual([code(sent.mail), code(sent.data)], ['yes', '550 5.7.1']);
  assert.equal(atData.kept.length, 0);
});

test('what is refused before its message leaves a trace; what a client gives up leaves none', async (t) => {
  const reject: HookAnswer = { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' } };
  const atConnect = new FakeHouse(t, { hooks: { connect: () => reject } });
  await atConnect.connect();
  assert.deepEqual(
    atConnect.traces.map(({ id, outcome, replies }) => [id, outcome, replies[0]?.enhanced]),
    [['c1', 'refused', '5.7.1']],
  );
  const fake = new FakeHouse(t);
  const session = await fake.connect();
  const begin = () =>
    session.mailFrom({ sender: 'x@y.test', body: '7bit', smtputf8: false, requireTls: false });
  await begin();
  session.reset();
  assert.equal(fake.traces.length, 0);
  await begin();
  await session.rcptTo({ address: 'nobody@example.test', notify: [] });
  session.reset();
  session.reset();
  assert.deepEqual(
    fake.traces.map(({ outcome, recipients }) => [outcome, recipients]),
    [['refused', { 'nobody@example.test': 'refused: 550 5.1.1' }]],
  );
});

test('every transaction and the connection are forgotten by the pipelines when they end', async (t) => {
  const fake = new FakeHouse(t, { hooks: { close: () => undefined } });
  const { session } = await send(fake);
  await session.mailFrom({ sender: 'x@y.test', body: '7bit', smtputf8: false, requireTls: false });
  session.reset();
  await session.mailFrom({ sender: 'x@y.test', body: '7bit', smtputf8: false, requireTls: false });
  await session.close('lost');
  const last = fake.pipelines.requests.at(-1)!;
  assert.deepEqual([last.stages, last.reason], [['close'], 'lost']);
  assert.equal(new Set(fake.pipelines.forgotten).size, 4);
  assert.equal(fake.pipelines.forgotten.at(-1), 'c1');
});

test('a reload does not change mail in flight', async (t) => {
  const fake = new FakeHouse(t);
  const session = await fake.connect();
  await session.mailFrom({ sender: 'x@y.test', body: '7bit', smtputf8: false, requireTls: false });
  fake.house = { ...fake.house, users: undefined };
  assert.equal(code(await session.rcptTo({ address: 'alice@example.test', notify: [] })), 'yes');
});

test('a clock that is set back gives no transaction id twice', () => {
  const times = [1000, 1000, 1001, 900, 1000, 1000, 1001, 1002];
  const ids = times.map(newTransactionId);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual([...ids].sort(), ids);
});
