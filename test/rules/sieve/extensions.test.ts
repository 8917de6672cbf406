/** Extensions beyond Pigeonhole's shared test scripts: test scripts of our own beside this file, and what needs answers. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  compileSieve,
  defaultSieveLimits,
  type Environment,
  type Outcome,
  runSieve,
  runTestsuite,
} from '../../../rules/sieve/index.ts';

const folder = dirname(fileURLToPath(import.meta.url));
const now = Date.parse('2026-11-21T09:00:00Z');

for (const file of globSync('extensions/*.svtest', { cwd: folder }).sort()) {
  test(file, () => {
    const path = join(folder, file);
    const readFile = (name: string) => {
      const found = globSync(resolve(dirname(path), name));
      return found[0] === undefined ? undefined : readFileSync(found[0]);
    };
    const { problems, failure, tests } = runTestsuite(readFileSync(path), { now, readFile });
    assert.deepEqual(problems, []);
    assert.equal(failure, undefined);
    assert.deepEqual(
      tests.filter((each) => each.failure !== undefined),
      [],
    );
    assert.ok(tests.length > 0);
  });
}

const message = Buffer.from(
  'From: ann@example.org\r\nTo: bob@example.net\r\nMessage-ID: <1@x>\r\nSubject: Lunch\r\n\r\nBody.\r\n',
);

async function run(
  script: string,
  environment: Partial<Environment> = {},
  octets = message,
): Promise<Outcome> {
  const { program, errors } = compileSieve(script);
  assert.deepEqual(errors, []);
  const envelope = { from: 'ann@example.org', to: 'bob@example.net' };
  return runSieve(program!, octets, { now, envelope, ...environment });
}

const types = (outcome: Outcome) => outcome.actions.map(({ type }) => type);

test('answers may come later: the run begins anew with them and plans once', async () => {
  let asked = 0;
  const outcome = await run(
    'require ["mailbox", "fileinto"]; if mailboxexists ["A", "B"] { fileinto "A"; } redirect "x@example.org";',
    { mailboxExists: async () => Boolean(++asked) },
  );
  assert.deepEqual(types(outcome), ['fileinto', 'redirect']);
  assert.equal(asked, 2);
});

test('an answer that fails rejects the run', async () => {
  const broken = run('require "mailbox"; if mailboxexists "A" { discard; }', {
    mailboxExists: () => Promise.reject(new Error('the disk is gone')),
  });
  await assert.rejects(broken, /the disk is gone/);
});

test('RFC 7352: a key seen before is a duplicate, and the run says what to remember', async () => {
  const script = 'require "duplicate"; if duplicate :seconds 60 { discard; }';
  const first = await run(script);
  assert.deepEqual(types(first), ['keep']);
  const [seen] = first.seen;
  assert.equal(seen?.seconds, 60);
  const second = await run(script, { duplicateSeen: (key) => key === seen?.key });
  assert.deepEqual(types(second), ['discard']);
  const other = await run(script.replace('60', '61 :handle "h"'));
  assert.notEqual(other.seen[0]?.key, seen?.key);
});

test('RFC 5230: a sender who was answered is not answered again', async () => {
  const script = 'require "vacation"; vacation :days 3 "Away.";';
  const first = await run(script);
  const reply = first.actions.find((action) => action.type === 'vacation');
  assert.equal(reply?.recipient, 'ann@example.org');
  assert.equal(reply?.seconds, 3 * 86_400);
  const again = await run(script, { vacationSeen: async (key) => key === reply?.key });
  assert.deepEqual(types(again), ['keep']);
});

test('RFC 6134: lists are asked for, and redirect goes to their members', async () => {
  const script =
    'require ["extlists", "fileinto"]; if address :list "from" "tag:friends" { redirect :list "tag:family"; } if valid_ext_list "tag:nobody" { fileinto "X"; }';
  const outcome = await run(script, {
    listContains: (list, value) => (list === 'tag:friends' ? value === 'ann@example.org' : undefined),
    listMembers: async () => ['m@example.org', 'd@example.org'],
  });
  assert.deepEqual(types(outcome), ['redirect', 'redirect']);
});

test('RFC 8579, RFC 9042: mailboxes by use and by id', async () => {
  const script =
    'require ["special-use", "mailboxid", "fileinto", "mailbox"]; if specialuse_exists "\\\\Junk" { fileinto :specialuse "\\\\Junk" "Spam"; } if mailboxidexists "F1" { fileinto :mailboxid "F1" "Other"; } if specialuse_exists "Work" "\\\\Sent" { discard; }';
  const outcome = await run(script, {
    specialUseExists: (use, mailbox) => use === '\\Junk' && mailbox === undefined,
    mailboxIdExists: (id) => id === 'F1',
  });
  const [junk, other] = outcome.actions;
  assert.equal(junk?.type === 'fileinto' && junk.specialUse, '\\Junk');
  assert.equal(other?.type === 'fileinto' && other.mailboxId, 'F1');
});

test('RFC 6009: the envelope tells of DSN, and redirect asks for it', async () => {
  const script =
    'require ["envelope", "envelope-dsn", "envelope-deliverby", "redirect-dsn", "redirect-deliverby"]; if allof(envelope "notify" "FAILURE", envelope "ret" "hdrs", envelope "bymode" "R") { redirect :notify "SUCCESS,FAILURE" :ret "FULL" :bytimerelative 60 :bymode "NOTIFY" :bytrace "x@example.org"; }';
  const outcome = await run(script, {
    envelope: {
      from: 'ann@example.org',
      to: 'bob@example.net',
      notify: ['failure'],
      ret: 'hdrs',
      byMode: 'return',
    },
  });
  const [redirect] = outcome.actions;
  assert.ok(redirect?.type === 'redirect');
  const { notify, ret, byTime, byMode, byTrace } = redirect;
  assert.deepEqual(
    { notify, ret, byTime, byMode, byTrace },
    {
      notify: ['success', 'failure'],
      ret: 'full',
      byTime: { relativeSeconds: 60 },
      byMode: 'notify',
      byTrace: true,
    },
  );
});

test('RFC 6558: a part is converted, or not', async () => {
  const picture = Buffer.from(
    'From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/tiff\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n',
  );
  const script =
    'require ["convert", "fileinto"]; if convert "image/tiff" "image/jpeg" ["pix-x=320"] { fileinto "Pictures"; } if convert "image/gif" "image/png" [""] { discard; }';
  const outcome = await run(script, { convert: (content) => Buffer.from([...content, 1]) }, picture);
  const [filed] = outcome.actions;
  assert.ok(filed?.type === 'fileinto');
  const body = filed.edits.find((edit) => edit.type === 'replaceBody');
  assert.match(Buffer.from(body!.body).toString(), /Content-Type: image\/jpeg\r\n[\s\S]*AAAAAQ==/);
});

test('RFC 6785: scripts at IMAP events see the flags and the cause', async () => {
  const script =
    'require ["imapsieve", "imap4flags", "environment"]; if allof(environment "imap.cause" "FLAG", hasflag "Done") { addflag "\\\\Seen"; }';
  const outcome = await run(script, {
    flags: ['Done'],
    item: (name) => (name === 'imap.cause' ? 'FLAG' : undefined),
  });
  assert.deepEqual(outcome.actions, [{ type: 'keep', implicit: true, flags: ['Done', '\\Seen'], edits: [] }]);
});

test('several scripts: the next one runs as long as the message is kept', async () => {
  const compiled = (script: string) => compileSieve(script).program!;
  const [spam, user, after] = [
    'require "fileinto"; if header :is "x-spam" "yes" { fileinto "Junk"; }',
    'require "imap4flags"; addflag "mine"; keep;',
    'require "fileinto"; fileinto "After";',
  ].map(compiled);
  const environment = { now, envelope: { from: 'ann@example.org', to: 'bob@example.net' } };
  const kept = await runSieve([spam!, user!, after!], message, environment);
  assert.deepEqual(
    kept.actions.map((action) => action.type === 'fileinto' && [action.mailbox, ...action.flags]),
    [['After', 'mine']],
  );
  const junk = await runSieve([spam!, user!], Buffer.from(`X-Spam: yes\r\n${message}`), environment);
  assert.deepEqual(types(junk), ['fileinto']);
});

test('what an earlier script decided stands: a later one that does not go with it is not carried out', async () => {
  const [site, user] = [
    'require "copy"; redirect :copy "archive@example.org";',
    'require "reject"; reject "No.";',
  ].map((script) => compileSieve(script).program!);
  const environment = { now, envelope: { from: 'ann@example.org', to: 'bob@example.net' } };
  const outcome = await runSieve([site!, user!], message, environment);
  assert.deepEqual(types(outcome), ['redirect', 'keep']);
});

test('a redirect to a list without members loses nothing', async () => {
  const script = 'require "extlists"; redirect :list "tag:empty";';
  assert.deepEqual(types(await run(script, { listMembers: () => [] })), ['keep']);
});

test('an error keeps the message and says where', async () => {
  const outcome = await run('require ["fileinto", "ihave"];\nfileinto "A";\nerror "no more";');
  assert.deepEqual(types(outcome), ['keep']);
  assert.deepEqual(outcome.error, {
    script: 'script',
    line: 3,
    column: 1,
    message: 'failed with error: no more',
  });
});

test('a script cannot run for ever', async () => {
  const part = '--b\r\n\r\nx\r\n';
  const octets = Buffer.from(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(900)}--b--\r\n`);
  const inner = 'if header :matches "subject" "*a*a*" { keep; } '.repeat(2000);
  const script = `require ["foreverypart"]; foreverypart { ${inner} }`;
  const outcome = await run(script, {}, octets);
  assert.match(outcome.error?.message ?? '', /exceeded the limit/);
  assert.deepEqual(types(outcome), ['keep']);
});

test('a run starts so many programs and no more', async () => {
  let started = 0;
  const runProgram = () => ({ ok: started++ >= 0, output: new Uint8Array() });
  const script = (times: number) => `require "vnd.dovecot.execute";${' execute "x";'.repeat(times)}`;
  const { programRunsMax } = defaultSieveLimits;
  assert.equal((await run(script(programRunsMax), { runProgram })).error, undefined);
  const { error } = await run(script(programRunsMax + 1), { runProgram });
  assert.match(error?.message ?? '', /more than 10 programs/);
  assert.equal(started, 2 * programRunsMax);
});
