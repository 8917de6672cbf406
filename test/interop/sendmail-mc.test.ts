/** What `init` prints for sendmail.mc, made into a sendmail.cf by Sendmail's own m4 files and tried in it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { mdaLines, milterLines } from '../../src/cli/init/mta-lines.ts';
import { launcher } from '../kit/command.ts';
import { projectRoot, requireProgram, requireUnpacked } from '../kit/require.ts';
import { type SendmailConfig, startSendmail } from '../kit/sendmail.ts';
import { messagesIn, startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

/** A small host's own file, with the lines where `init` says that they go. */
function configFrom(m4: string, macros: string, lines: readonly string[]): SendmailConfig {
  return ({ directory, port }) => {
    const file = join(directory, 'sendmail.mc');
    writeFileSync(
      file,
      `divert(-1)include(\`${macros}')divert(0)dnl
VERSIONID(\`test')
OSTYPE(\`linux')dnl
define(\`confDOMAIN_NAME', \`mta.example.test')dnl
define(\`confPID_FILE', \`${directory}/pid')dnl
define(\`QUEUE_DIR', \`${directory}/queue')dnl
define(\`STATUS_FILE', \`')dnl
define(\`HELP_FILE', \`')dnl
undefine(\`ALIAS_FILE')dnl
define(\`confDONT_PROBE_INTERFACES', \`True')dnl
define(\`confTO_IDENT', \`0')dnl
define(\`confREFUSE_LA', \`1000')dnl
define(\`confQUEUE_LA', \`1000')dnl
FEATURE(\`nocanonify')dnl
FEATURE(\`no_default_msa')dnl
FEATURE(\`accept_unqualified_senders')dnl
FEATURE(\`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(\`Port=${port}, Addr=127.0.0.1, Name=MTA')dnl
LOCAL_DOMAIN(\`example.test')dnl
${lines.join('\n')}
MAILER(\`local')dnl
MAILER(\`smtp')dnl
`,
    );
    const folder = `${dirname(dirname(macros))}/`;
    return execFileSync(m4, [`-D_CF_DIR_=${folder}`, file], { encoding: 'utf8', maxBuffer: 1 << 24 });
  };
}

test("milter and local mailer of Sendmail by the lines of 'init'", async (t) => {
  const [program, m4] = [requireProgram(t, 'swaks'), requireProgram(t, 'm4')];
  const macros = requireUnpacked(t, 'sendmail-cf', 'usr/share/sendmail/cf/m4/cf.m4');
  if (!program || !m4 || !macros) return;
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-mda-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'mail'));
  for (const path of [folder, join(folder, 'mail')]) chmodSync(path, 0o777);
  const config = join(folder, 'mda.json');
  const mailbox = { format: 'maildir', path: join(folder, 'mail/{user}{home}') };
  writeFileSync(config, JSON.stringify({ hostname: 'mx.example.test', dataDirectory: 'data', mailbox }));
  const server = await startServer({
    config: { listeners: { milter: { protocol: 'milter', address: '127.0.0.1:0', pipeline: 'inbound' } } },
    inbound: [{ plugin }],
  });
  t.after(() => server.stop());
  const all = [
    ...milterLines(server.ports.milter!),
    ...mdaLines(`${process.execPath} ${launcher} deliver -c ${config}`),
  ];
  const lines = all.filter(({ mta }) => mta === 'Sendmail').flatMap((each) => each.lines);
  const sendmail = await startSendmail(t, { config: configFrom(m4, macros, lines) });
  if (!sendmail) return;
  const send = (told: string) => {
    const message = `From: <ann@example.org>\nSubject: test\nX-Do: ${told}\n\nhello\n`;
    return swaks(program, { port: sendmail.port, to: 'nobody@example.test', message });
  };
  const mails = () => messagesIn(join(folder, 'mail/nobody/nonexistent'));
  assert.match((await send('reject')).reply, /^550 5\.7\.1 and that is final/);
  const { reply, transcript } = await send('add');
  assert.match(reply, /^250 /, transcript);
  await until('mail', () => mails().length === 1).catch(() => {
    throw new Error(sendmail.log());
  });
  const text = readFileSync(mails()[0]!, 'latin1');
  assert.match(text, /^Return-Path: <ann@example\.org>\n[\s\S]*^X-Added: at the end$/m);
});
