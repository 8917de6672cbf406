/** What scanners found reaches users' scripts in a running server: clamd's word as virustest, spamd's as spamtest. RFC 5235. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eicar, startClamd } from '../kit/clamd.ts';
import { scannerStubs } from '../kit/scanner-stubs.ts';
import { messagesIn, until } from '../kit/server.ts';
import { answering, startStubDaemon } from '../kit/stub-daemon.ts';
import { sendOne } from './mail-client.ts';
import { openServer } from './observe.ts';

const script = `require ["fileinto", "mailbox", "relational", "comparator-i;ascii-numeric", "virustest", "spamtestplus"];
if virustest :value "eq" :comparator "i;ascii-numeric" "5" { fileinto :create "Virus"; stop; }
if virustest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto :create "Unscanned"; stop; }
if spamtest :percent :value "eq" :comparator "i;ascii-numeric" "75" { fileinto :create "Likely"; stop; }
if spamtest :percent :value "eq" :comparator "i;ascii-numeric" "0" { fileinto :create "Unscored"; stop; }
if virustest :value "eq" :comparator "i;ascii-numeric" "1" { fileinto :create "Clean"; }
`;

/** As spamd reports: 7.5 points are 75 percent of the ten that spamtest calls certain. */
const spam = 'SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\nSpam: True ; 7.5 / 5.0\r\n\r\nok';

test('virustest and spamtest say what the scanners said, and 0 where they said nothing', async (t) => {
  const clamd = await startClamd(t);
  if (!clamd) return;
  const { isWhole, good } = scannerStubs.spamassassin;
  const spamd = await startStubDaemon(
    t,
    answering(isWhole, (heard) => (heard.includes('Subject: spam') ? spam : good)),
  );
  await using server = await openServer({
    inbound: [
      {
        plugin: 'clamav',
        options: { servers: [clamd.address], action: 'mark' },
        onFailure: 'continue',
        timeoutSeconds: 30,
      },
      {
        plugin: 'spamassassin',
        options: { servers: [spamd.address] },
        onFailure: 'continue',
        timeoutSeconds: 30,
      },
      { plugin: 'sieve', options: { default: 'default.sieve' } },
    ],
    files: { 'default.sieve': script },
  });
  const lands = async (folder: string, subject: string, body: string) => {
    const [reply] = await sendOne(server.ports.smtp!, {
      to: ['alice@example.test'],
      // What a sender writes of itself is nobody's finding.
      message: `Subject: ${subject}\nX-Virus-Status: Clean\n\n${body}\nHello.\n`,
    });
    assert.match(reply!, /^250 /);
    await until(`"${subject}" in ${folder}`, () => count(folder) === 1);
  };
  const count = (folder: string) => messagesIn(join(server.mailbox('alice'), `.${folder}`)).length;

  await lands('Clean', 'letter', 'hello');
  await lands('Virus', 'virus', eicar);
  await lands('Likely', 'spam', 'hello');
  await spamd.stop();
  await lands('Unscored', 'nobody scores it', 'hello');
  await clamd.kill();
  await lands('Unscanned', 'nobody looks at it', 'hello');
});
