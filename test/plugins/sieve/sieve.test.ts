/** The sieve plugin: what scripts decide becomes actions of the delivery plan; whatever fails keeps the mail. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from '../../../core/plugin/testing.ts';
import plugin from '../../../plugins/sieve/index.ts';

const user = { user: 'alice@example.test', recipient: 'alice@example.test' };
const message =
  'From: Ann <ann@sender.test>\nTo: alice@example.test\nSubject: hello\nMessage-ID: <1@x>\n\nbody\n';

function run(script: string | undefined, input: TestInput = {}, setup: TestSetup = {}) {
  const tested = testPlugin(plugin, {
    ...(script !== undefined && { scripts: { sieve: script } }),
    ...setup,
  });
  return tested.deliver({ ...user, sender: 'ann@sender.test', message, ...input });
}

const discarded = [{ type: 'discard', reason: 'discarded by a Sieve script' }];

const cases: readonly {
  name: string;
  script: string;
  setup?: TestSetup;
  input?: TestInput;
  want: unknown;
}[] = [
  { name: 'the implicit keep is left to the core', script: 'if false { discard; }', want: undefined },
  {
    name: 'an explicit keep',
    script: 'keep;',
    want: [{ type: 'store', mailbox: 'INBOX', flags: [], edits: [] }],
  },
  {
    name: 'a folder that is there',
    script: 'require "fileinto"; fileinto "Work";',
    setup: { mailboxes: ['INBOX', 'Work'] },
    want: [{ type: 'store', mailbox: 'Work', create: false, flags: [], edits: [] }],
  },
  {
    name: 'a folder that is not there means INBOX',
    script: 'require "fileinto"; fileinto "Nowhere";',
    want: [{ type: 'store', mailbox: 'INBOX', create: false, flags: [], edits: [] }],
  },
  {
    name: 'a folder of a name that none can have means INBOX',
    script: 'require ["fileinto", "mailbox"]; fileinto :create "a\r\nb";',
    want: [{ type: 'store', mailbox: 'INBOX', create: false, flags: [], edits: [] }],
  },
  {
    name: 'more and longer flags than a mailbox keeps',
    script: `require "imap4flags"; addflag "${'x'.repeat(101)}"; ${Array.from({ length: 120 }, (_, nth) => `addflag "f${nth}";`).join('')} keep;`,
    want: [
      {
        type: 'store',
        mailbox: 'INBOX',
        flags: Array.from({ length: 100 }, (_, nth) => `f${nth}`),
        edits: [],
      },
    ],
  },
  {
    name: 'the folder of an id, and the name where the id is gone',
    script:
      'require ["fileinto", "mailboxid"]; if mailboxidexists "F1" { fileinto :mailboxid "F1" "Old"; } fileinto :mailboxid "F2" "Work";',
    setup: { mailboxes: ['INBOX', 'Work', 'Renamed'], mailboxIds: { F1: 'Renamed' } },
    want: [
      { type: 'store', mailbox: 'Renamed', create: false, flags: [], edits: [] },
      { type: 'store', mailbox: 'Work', create: false, flags: [], edits: [] },
    ],
  },
  {
    name: 'create and flags',
    script:
      'require ["fileinto", "mailbox", "imap4flags"]; fileinto :create :flags ["\\\\Seen", "$work"] "New/Deep";',
    want: [{ type: 'store', mailbox: 'New/Deep', create: true, flags: ['\\Seen', '$work'], edits: [] }],
  },
  {
    name: 'redirect and a copy',
    script: 'require "copy"; redirect :copy "bob@example.test";',
    want: [
      { type: 'redirect', address: 'bob@example.test', edits: [] },
      { type: 'store', mailbox: 'INBOX', flags: [], edits: [], implicit: true },
    ],
  },
  {
    name: 'redirect by a time, with the deadline of what came',
    script:
      'require ["envelope", "envelope-deliverby", "redirect-deliverby"]; if allof(envelope "bymode" "R", envelope "bytimeabsolute" "2027-01-02T03:04:05Z", envelope "bytrace" "T") { redirect :bytimeabsolute "2027-01-01T00:00:00Z" :bymode "return" "bob@example.test"; }',
    input: { envelope: { deliverBy: { until: Date.UTC(2027, 0, 2, 3, 4, 5), mode: 'return', trace: true } } },
    want: [
      {
        ...{ type: 'redirect', address: 'bob@example.test', edits: [] },
        deliverBy: { until: Date.UTC(2027, 0, 1), mode: 'return', trace: false },
      },
    ],
  },
  {
    name: 'ereject',
    script: 'require "ereject"; ereject "not today\r\nor tomorrow";',
    want: [{ type: 'refuse', code: 550, enhanced: '5.7.1', text: 'not today\nor tomorrow' }],
  },
  {
    name: 'reject in another language, to a client that knows ASCII only',
    script: 'require "ereject"; ereject "nö";',
    want: [{ type: 'refuse', code: 550, enhanced: '5.7.1', text: "refused by the recipient's rules" }],
  },
  {
    name: 'reject in another language over SMTPUTF8',
    script: 'require "ereject"; ereject "nö";',
    input: { envelope: { smtputf8: true } },
    want: [{ type: 'refuse', code: 550, enhanced: '5.7.1', text: 'nö' }],
  },
  { name: 'discard', script: 'discard;', want: discarded },
  {
    name: 'editheader edits what is stored after it',
    script: 'require ["editheader", "copy", "fileinto"]; keep; addheader "X-Mark" "yes"; fileinto :copy "x";',
    setup: { mailboxes: ['x'] },
    want: [
      { type: 'store', mailbox: 'INBOX', flags: [], edits: [] },
      {
        ...{ type: 'store', mailbox: 'x', create: false, flags: [] },
        edits: [{ type: 'insertHeader', index: 0, name: 'X-Mark', value: 'yes' }],
      },
    ],
  },
  {
    name: 'the score of the plugins before',
    script:
      'require ["spamtestplus", "relational", "comparator-i;ascii-numeric"]; if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "60" { discard; }',
    input: { score: 6.1 },
    want: discarded,
  },
  {
    name: 'a virus that clamav found',
    script:
      'require ["virustest", "relational", "comparator-i;ascii-numeric"]; if virustest :value "eq" :comparator "i;ascii-numeric" "5" { discard; }',
    input: { results: { clamav: { infected: true } } },
    want: discarded,
  },
  {
    name: 'envelope, subaddress and environment',
    script: `require ["envelope", "subaddress", "environment"];
      if allof (envelope :detail "to" "lists", envelope "from" "ann@sender.test", environment "name" "mailfilter") { discard; }`,
    input: { recipient: 'alice+lists@example.test', detail: 'lists' },
    want: discarded,
  },
  {
    name: 'a personal script that is included',
    script: 'require "include"; include "other";',
    setup: { namedScripts: { other: 'discard;' } },
    want: discarded,
  },
];

for (const { name, script, setup, input, want } of cases) {
  test(name, async () => {
    const { answer } = await run(script, input, setup);
    assert.deepEqual(answer.actions, want);
  });
}

test('nobody has a script: nothing is asked for', async () => {
  const { answer, log } = await run(undefined);
  assert.equal(answer.actions, undefined);
  assert.deepEqual(
    log.filter(({ event }) => event !== 'loaded'),
    [],
  );
});

test('the trace names the script and the line of each action', async () => {
  const { log } = await run('require "fileinto";\n\nfileinto "Work";', {}, { mailboxes: ['Work'] });
  const filed = log.find(({ event }) => event === 'fileinto');
  assert.deepEqual(filed?.facts, { script: 'active', line: 3, mailbox: 'Work', flags: '' });
});

test('the trace holds every test where that is asked for', async () => {
  const script = 'if header :contains "Subject" "hello" { discard; }';
  const { log } = await run(script, {}, { options: { trace: true } });
  const [tested] = log.filter(({ event }) => event === 'run');
  assert.equal(tested?.facts?.at, 'active:1');
  assert.equal(tested?.facts?.outcome, true);
});

test('a script that does not compile keeps the mail, and its owner hears of it', async () => {
  const { answer, log } = await run('fileinto "x";');
  assert.equal(answer.actions, undefined);
  const [note] = log.filter(({ event }) => event === 'note');
  assert.match(String(note?.facts?.text), /^active: line 1, column 1: .*kept$/);
});

test('a run that fails keeps the mail, and its owner hears of it', async () => {
  const { answer, log } = await run('require "include"; include "missing"; discard;');
  assert.equal(answer.actions, undefined);
  assert.ok(log.some(({ event }) => event === 'script-failed'));
  assert.ok(log.some(({ event }) => event === 'note'));
});

const vacation = 'require "vacation"; vacation :days 3 "I am away.";';

test('what is more than the core takes of one answer keeps the mail as it came', async () => {
  const recipients = Array.from({ length: 101 }, (_, nth) => `a${nth}@example.test`);
  const fields = Array.from({ length: 2001 }, (_, nth) => `addheader "X-${nth}" "v";`);
  const scripts = [
    `require "enotify"; notify "mailto:${recipients.join(',')}";`,
    `require "notify"; notify :options [${recipients.map((each) => `"${each}"`).join(',')}];`,
    `require "editheader"; ${fields.join('\n')} keep;`,
  ];
  for (const script of scripts) {
    const { answer, log } = await run(script);
    assert.equal(answer.actions, undefined);
    assert.ok(
      log.some(({ event }) => event === 'script-failed'),
      JSON.stringify(log),
    );
  }
});

test('deleteheader takes away thousands of fields', async () => {
  const many = Array.from({ length: 2500 }, (_, nth) => `X-Many: ${nth}\n`).join('');
  const { answer } = await run('require "editheader"; deleteheader "X-Many"; keep;', {
    message: `${many}${message}`,
  });
  const [store] = answer.actions ?? [];
  assert.deepEqual(store?.type === 'store' && store.edits, [
    { type: 'deleteHeader', name: 'X-Many', nth: 'all' },
  ]);
});

test('a vacation answer goes to the sender, from the null path, once for its time', async () => {
  const { answer } = await run(vacation);
  const actions = answer.actions ?? [];
  const reply = actions.find(({ type }) => type === 'reply');
  assert.ok(reply?.type === 'reply');
  assert.deepEqual([reply.sender, reply.recipients], ['', ['ann@sender.test']]);
  assert.match(Buffer.from(reply.message).toString(), /^Auto-Submitted: auto-replied/m);
  assert.equal(reply.once?.seconds, 3 * 86_400);
  assert.deepEqual(actions.map(({ type }) => type).sort(), ['reply', 'store']);
});

test('nobody is answered twice, but the run that is repeated plans its answer again', async () => {
  const { answer } = await run(vacation);
  const reply = answer.actions?.find(({ type }) => type === 'reply');
  assert.ok(reply?.type === 'reply');
  const { key } = reply.once!;
  const after = async (holder: string) => {
    const again = await run(vacation, { id: 'T1' }, { state: { [key]: holder } });
    return again.answer.actions?.some(({ type }) => type === 'reply') ?? false;
  };
  assert.equal(await after('T0/r1/0'), false);
  assert.equal(await after('T1/r1/0'), true);
});

for (const [name, header] of [
  ['a list', 'List-Id: <a.b>'],
  ['a robot', 'Auto-Submitted: auto-generated'],
  ['bulk', 'Precedence: bulk'],
] as const) {
  test(`no vacation answer to ${name}`, async () => {
    const { answer } = await run(vacation, { message: `${header}\n${message}` });
    assert.equal(answer.actions, undefined);
  });
}

test('duplicates are remembered when the mail is accepted, not before', async () => {
  const script = 'require "duplicate"; if duplicate :seconds 100 { discard; }';
  const { answer } = await run(script);
  const remembered = answer.actions?.find(({ type }) => type === 'remember');
  assert.ok(remembered?.type === 'remember');
  assert.equal(remembered.seconds, 100);
  const again = await run(script, { id: 'T2' }, { state: { [remembered.key]: 'T1/r1/0' } });
  assert.ok(again.answer.actions?.some(({ type }) => type === 'discard'));
});

test('a copy of the vacation answer is kept where the script wants it', async () => {
  const script = 'require ["vacation", "fcc", "mailbox"]; vacation :fcc "Sent" :create "away";';
  const { answer } = await run(script);
  const copy = answer.actions?.find((action) => action.type === 'store' && action.message !== undefined);
  assert.ok(copy?.type === 'store');
  assert.deepEqual([copy.mailbox, copy.create], ['Sent', true]);
  assert.match(Buffer.from(copy.message!).toString(), /away/);
});

function siteFolder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-site-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'before'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

test('site scripts run before and after the user’s, as long as the mail is to be kept', async (t) => {
  const baseDirectory = siteFolder(t, {
    'before/1.sieve': 'require "imap4flags"; addflag "$one";',
    'before/2.sieve': 'if header "Subject" "stop" { discard; }',
    'before/README': 'not a script',
    'after.sieve': 'require "fileinto"; fileinto "Last";',
    'default.sieve': 'discard;',
  });
  const options = { before: ['before'], after: ['after.sieve'], default: 'default.sieve' };
  const setup = { baseDirectory, options, mailboxes: ['Last'] };
  const actions = async (script: string | undefined, input?: TestInput) =>
    (await run(script, input, setup)).answer.actions?.map((action) =>
      action.type === 'store' ? action.mailbox : action.type,
    );
  assert.deepEqual(await actions('if false { stop; }'), ['Last']);
  assert.deepEqual(await actions('discard;'), ['discard']);
  assert.deepEqual(await actions(undefined), ['discard'], 'the default takes the place of the user’s');
  assert.deepEqual(await actions('keep;', { message: 'Subject: stop\n\n' }), ['discard']);
});

test('a site script that does not compile keeps the server from starting', async (t) => {
  const baseDirectory = siteFolder(t, { 'bad.sieve': 'fileinto;' });
  await assert.rejects(
    run('keep;', {}, { baseDirectory, options: { before: ['bad.sieve'] } }),
    /bad: line 1/,
  );
});

test('reject brings the MDN that tells the sender where the client cannot be told any more', async () => {
  const { answer } = await run('require "reject"; reject "nö";');
  const [refusal] = answer.actions ?? [];
  assert.ok(refusal?.type === 'refuse');
  assert.equal(refusal.text, "refused by the recipient's rules");
  const text = Buffer.from(refusal.notification!).toString('utf8');
  assert.match(text, /^To: <ann@sender\.test>\r\n/m);
  assert.match(text, /report-type=disposition-notification/);
  assert.match(text, /was automatically rejected:\r\nnö\r\n/);
  const bounce = await run('require "reject"; reject "no";', { sender: '' });
  assert.equal('notification' in bounce.answer.actions![0]!, false);
});
