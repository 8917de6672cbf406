/** The procmail plugin: what rcfiles decide becomes actions of the delivery plan; whatever fails keeps the mail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestSetup, testPlugin } from '../../core/plugin/testing.ts';
import plugin from '../../plugins/procmail/index.ts';

const message =
  'From: Ann <ann@sender.test>\nTo: alice@example.test\nSubject: hello\nMessage-ID: <1@x>\n\nbody\n';

function run(rcfile: string | undefined, setup: TestSetup = {}, sender = 'ann@sender.test') {
  const tested = testPlugin(plugin, {
    ...(rcfile !== undefined && { scripts: { procmail: rcfile } }),
    ...setup,
  });
  const user = 'alice@example.test';
  return tested.deliver({ user, recipient: user, detail: 'shop', sender, message });
}

const store = (mailbox: string) => ({ type: 'store', mailbox, create: true });
const inbox = { ...store('INBOX'), implicit: true };
const discard = { type: 'discard', reason: 'by an rcfile' };

const cases: readonly {
  readonly name: string;
  readonly rcfile: string;
  readonly setup?: TestSetup;
  readonly sender?: string;
  readonly want: unknown;
}[] = [
  { name: 'nothing but the mailbox', rcfile: '', want: [inbox] },
  { name: 'a folder', rcfile: ':0:\n* ^Subject: hello\na/b\n', want: [store('a/b')] },
  { name: 'a folder of Maildir++', rcfile: ':0\nMaildir/.a.b/\n', want: [store('a/b')] },
  { name: 'a copy', rcfile: ':0 c\na\n', want: [store('a'), inbox] },
  { name: 'several folders', rcfile: ':0\na/ b/\n', want: [store('a'), store('b')] },
  {
    name: 'the inbox by name',
    rcfile: 'MAILDIR=$HOME/Mail\nDEFAULT=$MAILDIR/in\n:0\nin\n',
    want: [store('INBOX')],
  },
  { name: 'nowhere', rcfile: ':0\n/dev/null\n', want: [discard] },
  { name: 'a folder outside is none', rcfile: ':0\n/etc/a\n', want: [inbox] },
  { name: 'a folder above is none', rcfile: ':0\n../a\n', want: [inbox] },
  { name: 'UTF-8', rcfile: Buffer.from(':0\ngrün/\n').toString('latin1'), want: [store('grün')] },
  {
    name: 'the From_ line',
    rcfile: ':0\n* ^From ann@sender\\.test\na\n',
    want: [store('a')],
  },
  { name: 'the From_ line of a bounce', rcfile: ':0\n* ^FROM_MAILER\na\n', sender: '', want: [store('a')] },
  { name: '$1', rcfile: 'X=$1\n:0\n* X ?? ^shop$\na\n', want: [store('a')] },
  {
    name: 'forwarding',
    rcfile: ':0\n! bob@b.test carol\n',
    want: [
      { type: 'redirect', address: 'bob@b.test' },
      { type: 'redirect', address: 'carol@example.test' },
    ],
  },
  { name: 'forwarding to what is no address', rcfile: ':0\n! -t\n', want: [inbox] },
  {
    name: 'forwarding too often',
    rcfile: ':0\n! a@b.test c@d.test\n',
    setup: { options: { redirectsMax: 1 } },
    want: [inbox],
  },
  {
    name: 'the header alone',
    rcfile: ':0 h\na\n',
    want: [
      {
        ...store('a'),
        message: Buffer.from(`${message.slice(0, message.indexOf('\n\n') + 1).replaceAll('\n', '\r\n')}`),
      },
    ],
  },
  { name: 'a program that nobody named', rcfile: ':0\n| cat\n', want: [inbox] },
  { name: 'a condition that asks one', rcfile: ':0\n* ! ? true\na\n:0\n* ? true\nb\n', want: [store('a')] },
  { name: 'backquotes', rcfile: 'X=`date`\n:0\n* ! X ?? .\na\n', want: [store('a')] },
  { name: 'a filter', rcfile: ':0 fw\n| tr a-z A-Z\n', want: [inbox] },
  {
    name: 'an exit code',
    rcfile: 'EXITCODE=75\n:0\n/dev/null\n',
    want: [{ type: 'refuse', code: 450, enhanced: '4.2.0', text: 'try again later' }],
  },
  { name: 'an exit code of mail that is stored', rcfile: 'EXITCODE=75\n:0\na\n', want: [store('a')] },
  {
    name: 'an included file',
    rcfile: 'INCLUDERC=.procmail/lists\nINCLUDERC=/etc/passwd\n',
    setup: { namedScripts: { '.procmail/lists': ':0\na\n' } },
    want: [store('a')],
  },
];

for (const { name, rcfile, setup, sender, want } of cases) {
  test(name, async () => {
    const { answer } = await run(rcfile, setup, sender);
    const actions = answer.actions?.map((action) =>
      action.type === 'store' && action.message !== undefined
        ? { ...action, message: Buffer.from(action.message) }
        : action,
    );
    assert.deepEqual(actions, want);
  });
}

test('a user without an rcfile', async () => {
  assert.equal((await run(undefined)).answer.actions, undefined);
});

test('formail -D: remembered when the mail is accepted, and never asked of a program', async () => {
  const { answer, log } = await run(':0 Wh: x.lock\n| formail -D 8192 x\n');
  assert.deepEqual(
    answer.actions?.map(({ type }) => type),
    ['store', 'remember'],
  );
  assert.ok(log.some(({ event }) => event === 'duplicate'));
});

test('the trace tells of each recipe and its conditions', async () => {
  const { log } = await run(':0\n* 1^0 ^Subject: hello\n* -3^0\na\n', { options: { trace: true } });
  assert.deepEqual(log.find(({ event }) => event === 'recipe')?.facts, {
    at: '/home/.procmailrc:1',
    matched: false,
    score: -2,
    conditions: ['yes 1^0 ^Subject: hello', 'yes -3^0'],
  });
});
