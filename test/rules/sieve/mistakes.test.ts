/** What is wrong in small scripts: as many errors and warnings as Pigeonhole's sievec tells, which a campaign asks again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileSieve } from '../../../rules/sieve/index.ts';
import { requireProgram } from '../../kit/require.ts';

const mistakes: readonly [script: string, errors: number, warnings: number][] = [
  ['require ["editheader"]; addheader "X" "a\x01b";', 0, 1],
  ['require ["editheader"]; addheader;', 1, 0],
  ['require ["editheader"]; addheader "x";', 1, 0],
  ['require ["editheader"]; addheader :last :last "x" "y";', 1, 0],
  ['require ["editheader"]; deleteheader;', 1, 0],
  ['require ["editheader"]; deleteheader "a:";', 1, 0],
  ['require ["editheader"]; deleteheader :index 1 "x" ["a","b"];', 0, 0],
  ['require ["editheader"]; deleteheader :is "x";', 0, 0],
  ['require ["editheader"]; deleteheader :comparator "i;octet" "x";', 0, 0],
  [
    'require ["editheader"]; deleteheader "auto-submitted"; addheader "Received" "x"; addheader "subject" "a";',
    0,
    1,
  ],
  [`require ["editheader","variables"]; set "x" "a b"; addheader "\${x}" "v";`, 0, 0],
  ['require ["editheader"]; addheader "X" ["a"];', 1, 0],
  ['require ["duplicate"]; if duplicate :handle "a" :handle "b" {}', 1, 0],
  ['require ["duplicate"]; if duplicate :header "a b" {}', 0, 1],
  ['require ["duplicate"]; if duplicate :header "x" :uniqueid "y" {}', 1, 0],
  ['require ["duplicate"]; if duplicate "x" {}', 1, 0],
  ['require ["duplicate"]; if duplicate :last :last {}', 1, 0],
  ['require ["duplicate"]; if duplicate :seconds {}', 1, 0],
  ['require ["duplicate"]; if duplicate :header :last {}', 1, 0],
  ['require ["enotify"]; notify;', 1, 0],
  ['require ["enotify"]; notify "mailto:";', 0, 1],
  ['require ["enotify"]; notify "mailto:a@b.example?to=c@d.example";', 0, 0],
  ['require ["enotify"]; notify "mailto:a@b.example?from=x";', 0, 1],
  ['require ["enotify"]; notify "mailto:@b.example";', 1, 0],
  ['require ["enotify"]; notify :options "a" "mailto:a@b.example";', 1, 0],
  ['require ["enotify"]; notify :importance 1 "mailto:a@b.example";', 1, 0],
  ['require ["enotify"]; if valid_notify_method {}', 1, 0],
  ['require ["enotify"]; if notify_method_capability "mailto:a@b.example" "online" {}', 1, 0],
  ['require ["enotify"]; notify "mailto:a@b.example?subject=%0a%0dx";', 1, 0],
  ['require ["enotify","variables"]; set :encodeurl :length "a" "b";', 0, 0],
  ['require ["enotify","variables"]; set :encodeurl :encodeurl "a" "b";', 1, 0],
  ['require ["enotify"]; notify "mailto:a@b.example?x y=1";', 1, 0],
  ['require ["include"]; include;', 1, 0],
  ['require ["include"]; include "a/b";', 1, 0],
  ['require ["include"]; include :global :personal "x";', 1, 0],
  ['require ["include"]; include :once :once "x";', 1, 0],
  ['require ["include"]; global "x";', 1, 0],
  ['require ["include","variables"]; global ["a","b c"];', 1, 0],
  ['require ["include","variables"]; set "x" "y"; global "x";', 1, 0],
  ['require ["include","variables"]; export "x"; keep; import "y";', 1, 0],
  ['require ["include","variables"]; if true { global "x"; }', 0, 0],
  ['require ["include","variables"]; set "global.x" "y"; keep;', 0, 0],
  ['require ["include","variables"]; set "global.a.b" "y";', 1, 0],
  ['require ["include"]; return 1;', 1, 0],
  ['require ["mboxmetadata"]; if metadataexists "a" [] {}', 1, 0],
  ['require ["mboxmetadata"]; if metadata "INBOX" "/private/a" {}', 1, 0],
  ['require ["mboxmetadata"]; if metadata "INBOX" "private/a" "x" {}', 0, 1],
  ['require ["mboxmetadata"]; if metadataexists "INBOX" ["/nothere/x","/private/a*"] {}', 0, 2],
  ['require ["servermetadata"]; if servermetadata "/shared/x" {}', 1, 0],
  ['require ["servermetadata"]; if servermetadata :count "ge" "/private/a/" "1" {}', 1, 0],
  ['require ["mime"]; if header :mime :type :subtype "content-type" "x" {}', 1, 0],
  ['require ["mime"]; if header :type "content-type" "x" {}', 1, 0],
  ['require ["mime"]; if header :mime :param [] "content-type" "x" {}', 1, 0],
  ['require ["mime"]; if exists :anychild "x" {}', 1, 0],
  ['require ["mime"]; if address :mime :contenttype "from" "x" {}', 1, 0],
  ['require ["foreverypart"]; foreverypart "x" {}', 1, 0],
  ['require ["foreverypart"]; foreverypart :name 1 {}', 1, 0],
  ['require ["foreverypart"]; foreverypart :name "a" { break :name ""; }', 1, 0],
  ['require ["foreverypart"]; foreverypart;', 1, 0],
  ['require ["foreverypart","extracttext","variables"]; foreverypart { extracttext :first "x" "y"; }', 1, 0],
  [
    'require ["foreverypart","extracttext","variables"]; foreverypart { extracttext; extracttext "a" "b"; extracttext "1"; }',
    3,
    0,
  ],
  ['require ["regex"]; if header :regex "x" "(" {}', 1, 0],
  ['require ["regex"]; if header :regex "x" ["a","[z-a]","*"] {}', 1, 0],
  ['require ["regex"]; if header :regex :comparator "i;ascii-numeric" "x" "a" {}', 1, 0],
  ['require ["regex"]; if header :regex :is "x" "a" {}', 1, 0],
  ['require ["reject"]; reject;', 1, 0],
  ['require ["reject"]; reject "a" "b";', 1, 0],
  ['require ["reject"]; reject ["a"];', 1, 0],
  ['require ["spamtest"]; if spamtest {}', 1, 0],
  ['require ["spamtest"]; if spamtest 1 {}', 1, 0],
  ['require ["spamtest"]; if spamtest :percent "1" {}', 1, 0],
  ['require ["spamtestplus"]; if spamtest :percent "1" {}', 0, 0],
  ['require ["virustest"]; if virustest ["1","2"] {}', 1, 0],
  ['require ["spamtest"]; if spamtest :is ["a"] {}', 1, 0],
  ['require ["ihave"]; if ihave {}', 1, 0],
  ['require ["ihave"]; if ihave "x" { y; }', 0, 0],
  ['require ["ihave"]; error;', 1, 0],
  ['require ["ihave"]; error "a"; ', 0, 0],
  ['require ["ihave"]; if not ihave "x" { keep; } if ihave ["fileinto","y"] { fileinto "z"; }', 0, 0],
  ['require ["ihave"]; if anyof(ihave "fileinto", true) { fileinto "x"; }', 0, 0],
  ['require ["environment"]; if environment "x" {}', 1, 0],
  ['require ["environment"]; if environment 1 "x" {}', 1, 0],
  ['require ["index"]; if header :index "1" "x" "y" {}', 1, 0],
  ['require ["index"]; if header :last "x" "y" {}', 1, 0],
  ['require ["date"]; if currentdate :originalzone "year" "1" {}', 1, 0],
  ['require ["date"]; if date "a b" "year" "1" {}', 0, 1],
  ['require ["date"]; if date "date" "nopart" "1" {}', 0, 1],
  ['require ["special-use"]; if specialuse_exists {}', 1, 0],
  ['require ["special-use","fileinto"]; fileinto :specialuse "Junk" "x";', 1, 0],
  ['require ["special-use"]; if specialuse_exists "INBOX" ["\\\\Junk","x"] {}', 1, 0],
  ['require ["vnd.dovecot.debug"]; debug_log;', 1, 0],
  ['require ["vnd.dovecot.debug"]; debug_log "x" "y";', 1, 0],
  [
    `require ["vnd.dovecot.environment","variables"]; set "x" "\${env.vnd.dovecot.username}"; set "env.x" "y";`,
    1,
    0,
  ],
  ['require ["vnd.dovecot.report"]; report "abuse" "x" "bad";', 1, 0],
  ['require ["vnd.dovecot.report"]; report :headers_only "a b" "x" "a@b.example";', 1, 0],
  ['require ["vnd.dovecot.report"]; report "abuse" "x";', 1, 0],
  ['require ["copy","fileinto"]; fileinto :copy :copy "x"; keep :copy;', 2, 0],
  ['require ["subaddress"]; if address :user :detail "to" "x" {}', 1, 0],
  ['require ["envelope"]; if envelope "foo" "x" {}', 1, 0],
  ['require ["envelope"]; if envelope ["from","bar"] "x" {}', 1, 0],
  [
    `require ["encoded-character"]; if header "x" "\${hex:zz}" {} if header "x" "\${unicode:110000}" {} if header "x" "\${unicode: d800}" {}`,
    2,
    0,
  ],
  ['require ["body"]; if body :raw :text "x" {}', 1, 0],
  ['require ["body"]; if body :content "x" {}', 1, 0],
  ['require ["imap4flags"]; keep :flags; removeflag 1;', 2, 0],
  ['require ["mailbox"]; if mailboxexists {} if mailboxexists ["a","b/"] {}', 1, 0],
  ['require ["mailbox","fileinto"]; fileinto :create :create "x";', 1, 0],
  ['require ["vacation"]; vacation :days 7 :seconds 8 "x";', 1, 0],
  ['require ["vacation-seconds"]; vacation :seconds "8" "x";', 1, 0],
];

/** Kinds of warning that Pigeonhole has not. */
const ownWarnings: ReadonlySet<string> = new Set(['unused-require', 'unreachable', 'always-false']);

test('errors and warnings of small scripts', () => {
  for (const [script, errors, warnings] of mistakes) {
    const found = compileSieve(script, { strict: true });
    const told = found.warnings.filter(({ code }) => code === undefined || !ownWarnings.has(code));
    assert.deepEqual([found.errors.length, told.length], [errors, warnings], script);
  }
});

const config = `ssl = no
log_path = /dev/stderr
postmaster_address = postmaster@example.org
plugin {
  sieve_extensions = +editheader +mboxmetadata +servermetadata +vnd.dovecot.debug +vacation-seconds +spamtest +spamtestplus +virustest +vnd.dovecot.environment +vnd.dovecot.report +special-use
}
`;

test('sievec says the same', (t) => {
  const program = requireProgram(t, 'sievec');
  if (program === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-sievec-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [settings, source, binary] = ['dovecot.conf', 'x.sieve', 'x.svbin'].map((name) => join(folder, name));
  writeFileSync(settings!, config);
  const every = process.env.MAILFILTER_CAMPAIGN === '1' ? 1 : 12;
  for (const [script, errors, warnings] of mistakes.filter((_, nth) => nth % every === 0)) {
    writeFileSync(source!, script);
    const said = saidBy(program, ['-c', settings!, source!, binary!]);
    assert.deepEqual(
      [count(said, 'error'), count(said, 'warning')],
      [errors, warnings],
      `${script}\n${said}`,
    );
  }
});

function saidBy(program: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

function count(said: string, kind: string): number {
  return said.split(new RegExp(`line \\d+: ${kind}`)).length - 1;
}
