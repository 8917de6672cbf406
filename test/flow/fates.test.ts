/** What becomes of each recipient: verdicts of all stages, one answer or several, and what is carried out for whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HookAnswer } from '../../core/session/results.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import { FakeHouse, type FakeHouseInit, type SendInit, send } from '../kit/fake-house.ts';
import type { ScriptedHooks } from '../kit/scripted-pipelines.ts';

const reject: Verdict = { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' };
const tempfail: Verdict = { action: 'tempfail', code: 451, enhanced: '4.7.1', text: 'later' };
const discard: Verdict = { action: 'discard', reason: 'junk' };
const quarantine: Verdict = { action: 'quarantine', reason: 'virus' };

const always = (verdict: Verdict) => (): HookAnswer => ({ verdict });
/** A deliver hook that decides for one user and lets the others be. */
const forUser =
  (address: string, answer: HookAnswer) =>
  ({ recipient }: { recipient?: { address: string } }) =>
    recipient?.address === address ? answer : undefined;

interface Case {
  readonly name: string;
  readonly hooks: ScriptedHooks;
  readonly init?: Partial<FakeHouseInit>;
  readonly send?: SendInit;
  /** Codes after the message. */
  readonly codes: readonly number[];
  /** What is carried out: `user/folder` of each store, kind of each entry of the queue. */
  readonly done?: readonly string[];
}

const both = { to: ['alice@example.test', 'bob@example.test'] };
const lmtp = { ...both, connection: { door: 'lmtp' as const } };
const inboxes = ['alice/INBOX', 'bob/INBOX'];

const cases: readonly Case[] = [
  { name: 'nothing said', hooks: {}, send: both, codes: [250], done: inboxes },
  { name: 'message rejects', hooks: { message: always(reject) }, send: both, codes: [550] },
  { name: 'headers reject', hooks: { headers: always(reject) }, send: both, codes: [550] },
  { name: 'message rejects, LMTP', hooks: { message: always(reject) }, send: lmtp, codes: [550, 550] },
  { name: 'message defers', hooks: { message: always(tempfail) }, send: both, codes: [451] },
  { name: 'message defers, LMTP', hooks: { message: always(tempfail) }, send: lmtp, codes: [451, 451] },
  { name: 'message discards', hooks: { message: always(discard) }, send: both, codes: [250] },
  {
    name: 'message quarantines: one entry for all',
    hooks: { message: always(quarantine) },
    send: both,
    codes: [250],
    done: ['held'],
  },
  {
    name: 'an early quarantine gives way to a later reject',
    hooks: { mailFrom: always(quarantine), message: always(reject) },
    codes: [550],
  },
  {
    name: 'an early quarantine sticks',
    hooks: { connect: always(quarantine), message: always({ action: 'accept' }) },
    codes: [250],
    done: ['held'],
  },
  {
    name: 'accept skips neither routes nor deliver',
    hooks: { connect: always({ action: 'accept' }), deliver: always(discard) },
    codes: [250],
  },
  {
    name: 'message defers one of two: the word is for all',
    hooks: { message: () => ({ recipients: { r2: { verdict: tempfail } } }) },
    send: both,
    codes: [451],
  },
  {
    name: 'message defers one of two, LMTP',
    hooks: { message: () => ({ recipients: { r2: { verdict: tempfail } } }) },
    send: lmtp,
    codes: [250, 451],
    done: ['alice/INBOX'],
  },
  {
    name: 'message rejects for one: Junk, for the sender may be forged',
    hooks: { message: () => ({ recipients: { r2: { verdict: reject } } }) },
    send: both,
    codes: [250],
    done: ['alice/INBOX', 'bob/Junk'],
  },
  {
    name: 'data rejects for one',
    hooks: { data: () => ({ recipients: { r2: { verdict: reject } } }) },
    send: lmtp,
    codes: [250, 550],
    done: ['alice/INBOX'],
  },
  {
    name: 'message discards for one',
    hooks: { message: () => ({ recipients: { r1: { verdict: discard } } }) },
    send: both,
    codes: [250],
    done: ['bob/INBOX'],
  },
  {
    name: 'rejected for all but one',
    hooks: { message: () => ({ verdict: reject, recipients: { r2: { verdict: { action: 'accept' } } } }) },
    send: lmtp,
    codes: [550, 250],
    done: ['bob/INBOX'],
  },
  {
    name: 'deliver rejects for one',
    hooks: { deliver: forUser('bob@example.test', { verdict: reject }) },
    send: both,
    codes: [250],
    done: ['alice/INBOX', 'bob/Junk'],
  },
  {
    name: 'deliver rejects for the only one',
    hooks: { deliver: always(reject) },
    codes: [550],
  },
  {
    name: 'deliver rejects for one, from a user: DSN',
    hooks: { deliver: forUser('bob@example.test', { verdict: reject }) },
    send: {
      ...both,
      user: 'alice@example.test',
      from: 'alice@example.test',
      message: 'From: alice@example.test\r\n\r\n',
    },
    codes: [250],
    done: ['alice/INBOX', 'submit'],
  },
  {
    name: 'deliver rejects for one, LMTP',
    hooks: { deliver: forUser('bob@example.test', { verdict: reject }) },
    send: lmtp,
    codes: [250, 550],
    done: ['alice/INBOX'],
  },
  {
    name: 'deliver defers for one: it waits',
    hooks: { deliver: forUser('bob@example.test', { verdict: tempfail }) },
    send: both,
    codes: [250],
    done: ['alice/INBOX', 'deliver'],
  },
  {
    name: 'deliver defers for one, LMTP',
    hooks: { deliver: forUser('bob@example.test', { verdict: tempfail }) },
    send: lmtp,
    codes: [250, 451],
    done: ['alice/INBOX'],
  },
  {
    name: 'deliver quarantines for one',
    hooks: { deliver: forUser('bob@example.test', { verdict: quarantine }) },
    send: both,
    codes: [250],
    done: ['alice/INBOX', 'held'],
  },
  {
    name: 'the refuse action',
    hooks: { deliver: () => ({ actions: [{ type: 'refuse', code: 550, enhanced: '5.7.1', text: 'no' }] }) },
    codes: [550],
  },
  {
    name: 'the refuse action, for now',
    hooks: { deliver: () => ({ actions: [{ type: 'refuse', code: 450, enhanced: '4.2.0', text: 'no' }] }) },
    codes: [450],
  },
  {
    name: 'the discard action',
    hooks: { deliver: () => ({ actions: [{ type: 'discard', reason: 'rule' }] }) },
    codes: [250],
  },
  {
    name: 'one recipient twice: one copy',
    hooks: {},
    send: { to: ['alice@example.test', 'alice@example.test'] },
    codes: [250],
    done: ['alice/INBOX'],
  },
  {
    name: 'two aliases of one mailbox: one copy, LMTP answers both',
    hooks: {},
    send: { to: ['alice@example.test', 'a.lias@example.test'], connection: { door: 'lmtp' } },
    codes: [250, 250],
    done: ['alice/INBOX'],
  },
  {
    name: 'two aliases of one mailbox whose rules reject',
    hooks: { deliver: always(reject) },
    send: { to: ['alice@example.test', 'a.lias@example.test'], connection: { door: 'lmtp' } },
    codes: [550, 550],
  },
  {
    name: 'two aliases of one mailbox whose rules file: one copy',
    hooks: { deliver: () => ({ actions: [{ type: 'store', mailbox: 'Lists' }] }) },
    send: { to: ['alice@example.test', 'a.lias@example.test'] },
    codes: [250],
    done: ['alice/Lists'],
  },
  {
    name: 'two subaddresses are two deliveries',
    hooks: {},
    send: { to: ['alice+a@example.test', 'alice+b@example.test'] },
    codes: [250],
    done: ['alice/INBOX', 'alice/INBOX'],
  },
  {
    name: 'two aliases whose copies differ are two deliveries',
    hooks: {
      message: () => ({ recipients: { r2: { edits: [{ type: 'addHeader', name: 'X', value: 'y' }] } } }),
    },
    send: { to: ['alice@example.test', 'a.lias@example.test'] },
    codes: [250],
    done: ['alice/INBOX', 'alice/INBOX'],
  },
  {
    name: 'one address elsewhere twice: relayed once',
    hooks: {},
    send: { to: ['x@else.test', 'x@ELSE.test'], connection: { trusted: true } },
    codes: [250],
    done: ['relay'],
  },
  {
    name: 'a plugin adds an unknown recipient: held, for nobody can be told',
    hooks: { message: () => ({ edits: [{ type: 'addRecipient', address: 'nobody@example.test' }] }) },
    codes: [250],
    done: ['alice/INBOX', 'held'],
  },
  {
    name: 'a plugin adds a recipient elsewhere: the operator may',
    hooks: { data: () => ({ edits: [{ type: 'addRecipient', address: 'x@else.test' }] }) },
    codes: [250],
    done: ['alice/INBOX', 'relay'],
  },
  {
    name: 'a plugin adds a recipient and the message is deferred, LMTP: nothing is kept',
    hooks: {
      headers: () => ({ edits: [{ type: 'addRecipient', address: 'bob@example.test' }] }),
      message: always(tempfail),
    },
    send: { connection: { door: 'lmtp' } },
    codes: [451],
  },
  {
    name: 'a plugin takes one off, LMTP still answers both',
    hooks: { message: () => ({ edits: [{ type: 'deleteRecipient', address: 'alice@example.test' }] }) },
    send: lmtp,
    codes: [250, 250],
    done: ['bob/INBOX'],
  },
  {
    name: 'a plugin takes all off',
    hooks: { message: () => ({ edits: [{ type: 'deleteRecipient', address: 'alice@example.test' }] }) },
    codes: [250],
  },
];

for (const each of cases) {
  test(each.name, async (t) => {
    const fake = new FakeHouse(t, { hooks: each.hooks, ...each.init });
    const { replies } = await send(fake, each.send);
    assert.deepEqual(
      replies.map((reply) => reply.code),
      each.codes,
    );
    const plan = fake.kept[0]?.accepted;
    const stores = plan?.stores.map(({ user, folder }) => `${user.split('@')[0]}/${folder}`) ?? [];
    assert.deepEqual([...stores, ...(plan?.queue.map(({ work }) => work.kind) ?? [])], each.done ?? []);
    assert.equal(fake.releases, 1);
    assert.equal(fake.traces.length, 1);
    assert.deepEqual(fake.events('error'), []);
  });
}

/** Who the sender of a DSN may be, and what happens to the refused copy otherwise. */
const senders = [
  { name: 'no results', auth: [], want: 'bob/Junk' },
  {
    name: 'DMARC passed for the same domain',
    auth: [{ method: 'dmarc', result: 'pass', properties: { 'header.from': 'sender.test' } }],
    want: 'submit',
  },
  {
    name: 'DMARC passed, and no route leads to the sender',
    auth: [{ method: 'dmarc', result: 'pass', properties: { 'header.from': 'sender.test' } }],
    routes: [{ to: '@example.test', from: 'any', action: { kind: 'mailbox' } }] as const,
    want: 'bob/Junk',
  },
  {
    name: 'DMARC passed for the organisation',
    auth: [{ method: 'dmarc', result: 'pass', properties: { 'header.from': 'mail.sender.test' } }],
    want: 'submit',
  },
  {
    name: 'DMARC passed for a domain that is not the reverse-path: it may be a victim',
    auth: [{ method: 'dmarc', result: 'pass', properties: { 'header.from': 'spammer.test' } }],
    want: 'bob/Junk',
  },
  {
    name: 'DMARC failed',
    auth: [{ method: 'dmarc', result: 'fail', properties: { 'header.from': 'sender.test' } }],
    want: 'bob/Junk',
  },
  { name: 'SPF alone', auth: [{ method: 'spf', result: 'pass' }], want: 'bob/Junk' },
  {
    name: 'the null reverse-path from a trusted network',
    from: '',
    trusted: true,
    auth: [],
    want: 'bob/Junk',
  },
  {
    name: 'the null reverse-path',
    from: '',
    auth: [{ method: 'dmarc', result: 'pass', properties: { 'header.from': 'sender.test' } }],
    want: 'bob/Junk',
  },
];

for (const { name, auth, from, trusted, routes, want } of senders) {
  test(`refused for one of two: ${name}`, async (t) => {
    const deliver = forUser('bob@example.test', { verdict: reject });
    const fake = new FakeHouse(t, { hooks: { message: () => ({ auth }), deliver }, routes });
    await send(fake, {
      ...both,
      ...(from === undefined ? {} : { from }),
      connection: { trusted: trusted ?? false },
    });
    const { stores, queue } = fake.plan;
    const done = [
      ...stores.slice(1).map(({ folder }) => `bob/${folder}`),
      ...queue.map(({ work }) => work.kind),
    ];
    assert.deepEqual(done, [want]);
  });
}

test('an alias of two at LMTP has one answer: what it waits for waits here', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: {
      rewrite: ({ recipient }) =>
        recipient?.address === 'team@example.test'
          ? {
              edits: [
                { type: 'deleteRecipient', address: 'team@example.test' },
                { type: 'addRecipient', address: 'alice@example.test' },
                { type: 'addRecipient', address: 'bob@example.test' },
              ],
            }
          : undefined,
      deliver: forUser('bob@example.test', { verdict: tempfail }),
    },
  });
  const { replies } = await send(fake, { to: ['team@example.test'], connection: { door: 'lmtp' } });
  assert.deepEqual(
    replies.map((reply) => reply.code),
    [250],
  );
  assert.deepEqual([fake.plan.stores.length, fake.plan.queue.map(({ work }) => work.kind)], [1, ['deliver']]);
});

test('the deliver hooks see Authentication-Results and each local recipient once', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: { message: () => ({ auth: [{ method: 'spf', result: 'pass' }] }), deliver: () => undefined },
  });
  await send(fake, {
    to: ['alice+x@example.test', 'bob@example.test', 'bob@example.test', 'x@else.test'],
    connection: { trusted: true },
  });
  const request = fake.pipelines.requests.at(-1)!;
  assert.deepEqual(
    request.deliveries?.map(({ user, detail, recipient }) => [recipient.id, user, detail]),
    [
      ['r1', 'alice@example.test', 'x'],
      ['r2', 'bob@example.test', ''],
    ],
  );
  assert.equal(request.state.edits.at(-1)?.type, 'insertHeader');
  assert.match(await fake.text(), /^Authentication-Results: mx\.example\.test;\r\n\tspf=pass\r\nReceived: /);
});

const impossible: readonly { name: string; action: NonNullable<HookAnswer['actions']>[number] }[] = [
  { name: 'notify', action: { type: 'notify', method: 'mailto:x@y.test', parameters: {} } },
  { name: 'run', action: { type: 'run', argv: ['/bin/true'] } },
  {
    name: 'a store with a path of its own',
    action: { type: 'store', mailbox: 'INBOX', path: '/etc/passwd' },
  },
  { name: 'a store in another format', action: { type: 'store', mailbox: 'INBOX', format: 'mbox' } },
  { name: 'a redirect to no address', action: { type: 'redirect', address: 'nowhere' } },
  {
    name: 'a reply to no address',
    action: { type: 'reply', sender: '', recipients: ['a b'], message: new Uint8Array() },
  },
];

for (const { name, action } of impossible) {
  test(`impossible: ${name} is a failure before anything is done`, async (t) => {
    const actions = [{ type: 'store', mailbox: 'INBOX' } as const, action];
    const fake = new FakeHouse(t, { hooks: { deliver: () => ({ actions }) } });
    const { replies } = await send(fake);
    assert.deepEqual([replies[0]?.code, replies[0]?.enhanced], [451, '4.3.5']);
    assert.equal(fake.kept.length, 0);
    assert.deepEqual(fake.events('error'), ['impossible-action']);
  });
}
