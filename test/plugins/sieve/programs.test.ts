/** Scripts that run programs of the site: by plain names from one folder, no shell, bounded; without a folder there are none. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { testPlugin } from '../../../core/plugin/testing.ts';
import plugin from '../../../plugins/sieve/index.ts';
import { openSitePrograms } from '../../../rules/site-programs.ts';

const user = { user: 'alice@example.test', recipient: 'alice@example.test', sender: 'ann@sender.test' };
const message = 'From: ann@sender.test\nSubject: hello\nX-Old: 1\n\nbody\n';

function folderWith(t: TestContext, programs: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-programs-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

async function actionsOf(folder: string | undefined, script: string, options = {}) {
  const { answer, log } = await testPlugin(plugin, {
    scripts: { sieve: script },
    options: { ...(folder !== undefined && { programs: folder }), ...options },
  }).deliver({ ...user, message });
  return { actions: answer.actions, log };
}

const inbox = { type: 'store', mailbox: 'INBOX', flags: [], edits: [] };

test('execute: its end decides, its output is a variable, its environment knows who', async (t) => {
  const folder = folderWith(t, {
    lookup: 'test "$1" = vip && test "$USER" = alice@example.test && cat && printf " of $SENDER"',
    no: 'exit 3',
  });
  const { actions } = await actionsOf(
    folder,
    `require ["vnd.dovecot.execute", "variables", "fileinto", "mailbox"];
     if not execute :input "Friends" :output "folder" "lookup" ["vip"] { discard; stop; }
     if execute "no" { discard; stop; }
     execute :output "folder" "no";
     fileinto :create "\${folder}";`,
  );
  assert.deepEqual(actions, [{ ...inbox, mailbox: 'Friends of ann@sender.test', create: true }]);
});

test('filter: the message that the program writes is the one that is stored', async (t) => {
  const folder = folderWith(t, {
    mark: `sed -e 's/^X-Old: .*/X-New: 2/' -e 's/^body/mind/'`,
    silent: 'cat >/dev/null',
    broken: 'cat; exit 1',
  });
  const { actions } = await actionsOf(
    folder,
    `require ["vnd.dovecot.filter", "fileinto", "mailbox", "imap4flags", "body"];
     filter "silent"; filter "broken";
     if not filter "mark" { stop; }
     if allof (header "X-New" "2", not exists "X-Old", body :contains "mind") { addflag "\\\\Flagged"; }`,
  );
  assert.deepEqual(actions, [
    {
      ...inbox,
      flags: ['\\Flagged'],
      implicit: true,
      edits: [
        { type: 'deleteHeader', name: 'X-Old', nth: 1 },
        { type: 'insertHeader', index: 2, name: 'X-New', value: '2' },
        { type: 'replaceBody', body: new Uint8Array(Buffer.from('mind\r\n')) },
      ],
    },
  ]);
});

test('pipe: planned, not run; the copy is kept where it says so, and the mail where the program will fail', async (t) => {
  const folder = folderWith(t, { take: 'touch "$(dirname "$0")/ran"' });
  const argv = [join(folder, 'take'), 'a b', '{sender}'];
  const ask = (script: string) =>
    actionsOf(folder, `require ["vnd.dovecot.pipe", "copy", "fileinto", "mailbox"]; ${script}`);
  const cases = [
    ['pipe "take" ["a b", "{sender}"];', [{ type: 'run', argv, edits: [], ofSite: { onFailure: 'keep' } }]],
    [
      'pipe :copy "take" ["a b", "{sender}"];',
      [
        { type: 'run', argv, edits: [], ofSite: { onFailure: 'ignore' } },
        { ...inbox, implicit: true },
      ],
    ],
    ['pipe :try "none"; ', undefined],
  ] as const;
  for (const [script, want] of cases) assert.deepEqual((await ask(script)).actions, want, script);
  assert.equal(existsSync(join(folder, 'ran')), false);
});

test('a program that is not there, is no program, or is a path: the mail is kept and the owner told', async (t) => {
  const folder = folderWith(t, { there: 'exit 0' });
  writeFileSync(join(folder, 'data'), 'no program');
  const bad = [
    ['pipe "none";', /program 'none' is not among those/],
    ['filter "data";', /program 'data' is not among those/],
    ['execute "../there";', /invalid program name/],
    ['execute "..";', /invalid program name/],
    [`execute "there" ["${'x'.repeat(1025)}"];`, /longer than 1024 octets/],
    ['pipe "there"; pipe "there";', /duplicate pipe/],
  ] as const;
  for (const [script, reason] of bad) {
    const all = `require ["vnd.dovecot.pipe", "vnd.dovecot.filter", "vnd.dovecot.execute"]; ${script}`;
    const { actions, log } = await actionsOf(folder, all);
    assert.equal(actions, undefined, script);
    assert.match(JSON.stringify(log), reason, script);
  }
});

test('a program that does not end, or writes without end, has failed', async (t) => {
  const folder = folderWith(t, { slow: 'exec sleep 60', endless: 'exec cat /dev/zero' });
  const { actions } = await actionsOf(
    folder,
    `require ["vnd.dovecot.execute"]; if anyof (execute "slow", execute "endless") { discard; }`,
    { programTimeoutSeconds: 0.3 },
  );
  assert.equal(actions, undefined);
});

test('without a folder of programs scripts cannot require them', async () => {
  for (const name of ['pipe', 'filter', 'execute']) {
    const { actions, log } = await actionsOf(undefined, `require "vnd.dovecot.${name}"; discard;`);
    assert.equal(actions, undefined);
    assert.match(JSON.stringify(log), /unknown Sieve capability/);
  }
});

test('the items of vnd.dovecot.config and an abuse report', async () => {
  const { actions } = await actionsOf(
    undefined,
    `require ["vnd.dovecot.report", "vnd.dovecot.config", "variables", "environment"];
     if environment "vnd.dovecot.config.Desk" "abuse@example.test" {
       report :headers_only "abuse" "spam, we think" "\${env.vnd.dovecot.config.desk}";
     }`,
    { settings: { desk: 'abuse@example.test' }, reportFrom: 'desk@example.test' },
  );
  const [report, kept] = actions ?? [];
  assert.deepEqual(kept, { ...inbox, implicit: true });
  assert.ok(report?.type === 'reply');
  assert.deepEqual([report.sender, report.recipients], ['', ['abuse@example.test']]);
  const text = Buffer.from(report.message).toString('latin1');
  assert.match(text, /^From: <desk@example\.test>\r\n/m);
  assert.match(text, /report-type=feedback-report/);
  assert.match(text, /^Feedback-Type: abuse\r\n/m);
  assert.match(text, /^Original-Mail-From: <ann@sender\.test>\r\n/m);
  assert.match(text, /Content-Type: text\/rfc822-headers\r\n\r\nFrom: ann@sender\.test/);
  assert.doesNotMatch(text, /^body/m);
});

test('a name that is a path runs nothing; what a program started ends with it', async (t) => {
  const folder = folderWith(t, { slow: 'sleep 60 & sleep 60' });
  const programs = openSitePrograms(folder);
  for (const name of ['', '.', '..', '../slow', 'a/slow', '/bin/true', 'slow\0']) {
    assert.equal(programs.pathOf(name), undefined, JSON.stringify(name));
  }
  const limits = { timeoutMs: 300, outputBytesMax: 100, environment: {} };
  // The one in the background holds the output open as well.
  assert.deepEqual(await programs.run('slow', [], new Uint8Array(0), limits), {
    ok: false,
    output: new Uint8Array(0),
  });
});
