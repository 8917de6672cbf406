/** archive: which mail is copied, by direction and address, and never twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import archive from '../../plugins/archive/index.ts';
import { startServer, until } from '../kit/server.ts';
import { sendOne } from '../server/mail-client.ts';

type Options = NonNullable<TestSetup['options']>;
const to = 'archive@example.test';
const user: TestInput = {
  session: { user: 'alice@example.test' },
  sender: 'alice@example.test',
  recipients: ['x@example.org'],
};

const cases: readonly [name: string, options: Options, input: TestInput, copied: boolean][] = [
  ['mail from outside', {}, {}, true],
  ['mail of a user', {}, user, true],
  ['in: from outside', { direction: 'in' }, {}, true],
  ['in: of a user', { direction: 'in' }, user, false],
  ['out: of a user', { direction: 'out' }, user, true],
  ['out: of a trusted client', { direction: 'out' }, { connection: { trusted: true } }, true],
  ['out: from outside', { direction: 'out' }, {}, false],
  ['only: to one of them', { only: ['Alice@example.test'] }, {}, true],
  ['only: from one of them', { only: ['@example.org'] }, {}, true],
  ['only: others', { only: ['bob@example.test'] }, {}, false],
  ['except', { except: ['@example.org'] }, {}, false],
  ['to the archive itself', {}, { recipients: ['alice@example.test', 'Archive@example.test'] }, false],
  ['from the archive', {}, { sender: to }, false],
];
for (const [name, options, input, copied] of cases) {
  test(`archive: ${name}`, async () => {
    const { envelope } = await testPlugin(archive, { options: { to, ...options } }).message(input);
    assert.equal(envelope.recipients.filter(({ address }) => address === to).length, copied ? 1 : 0);
  });
}

test('archive: an address that is none is told at load', async () => {
  await assert.rejects(
    testPlugin(archive, { options: { to: 'archive' } }).message(),
    /"archive" is no address/,
  );
});

test('archive in the server: the copy is delivered beside the mail', async (t) => {
  const server = await startServer({ inbound: [{ plugin: 'archive', options: { to: 'bob@example.test' } }] });
  t.after(() => server.stop());
  const [port] = Object.values(server.ports);
  const replies = await sendOne(port!, { to: ['alice@example.test'], message: 'Subject: a\n\nb\n' });
  assert.match(replies.at(-1) ?? '', /^250/);
  await until(
    'both copies',
    () => server.messages('alice').length === 1 && server.messages('bob').length === 1,
  );
});
