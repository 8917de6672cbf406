/** Random conversations, threaded and sorted by Dovecot and by us: ids that are missing, doubled, broken or in circles, subjects of all kinds. RFC 5256. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireDovecot, startDovecot } from '../kit/dovecot.ts';
import { openImapServer } from '../kit/imap-client.ts';
import { type RandomSource, randomSource } from '../kit/random.ts';

const messagesMax = 8;
const ids = Array.from({ length: messagesMax }, (_, at) => `<id${at}@example.test>`);
const odd = ['<lost1@x>', '<lost2@x>', 'garbage', '<id1 @example.test>', '<"id2"@example.test>'];
const marks = ['', 'Re: ', 're:', 'Fwd: ', '[list] ', '[list] Re: ', 'Re[2]: ', 'Re: Re: ', '[fwd: '];
const subjects = ['a', 'b', 'c d', '', 'A', 'c  d (fwd)', '^x', '[x'];
const ends = ['', '', ']', ' (fwd)', ' (FWD) '];

/** The message at that place; every one has a Date, for without it Dovecot takes another than we. */
function messageAt(at: number, { below, pick }: RandomSource): string {
  const fields = [`Date: ${10 + below(18)} Nov 2020 10:00:${10 + at} +0000`];
  if (below(8) > 0) fields.push(`Message-ID: ${below(10) > 0 ? ids[at] : pick(ids)}`);
  const references = () => Array.from({ length: below(4) }, () => pick([...ids, ...odd])).join(' ');
  if (below(2) === 0) fields.push(`References: ${references()}`);
  if (below(3) === 0) fields.push(`In-Reply-To: ${pick([...ids, 'your message', '<lost1@x> <id3@x>'])}`);
  fields.push(`Subject: ${pick(marks)}${pick(subjects)}${pick(ends)}`);
  return `${fields.join('\r\n')}\r\n\r\nx\r\n`;
}

const commands = [
  'THREAD REFERENCES UTF-8 ALL',
  'THREAD REFERENCES UTF-8 2:6',
  'THREAD REFS UTF-8 ALL',
  'THREAD ORDEREDSUBJECT UTF-8 ALL',
  'SORT (SUBJECT) UTF-8 ALL',
  'SORT (REVERSE SUBJECT DATE) UTF-8 ALL',
];

test('THREAD and SORT answer as Dovecot does', async (t) => {
  if (!requireDovecot(t)) return;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-threads-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'Maildir');
  mkdirSync(path);
  const dovecot = await startDovecot({ format: 'maildir', path, directory: join(directory, 'dovecot') });
  t.after(() => dovecot.end());
  const client = await (await openImapServer(t)).client();
  const random = randomSource('dovecot-threads');
  const rounds = process.env.MAILFILTER_CAMPAIGN === '1' ? 200 : 3;
  for (let round = 0; round < rounds; round += 1) {
    const messages = Array.from({ length: messagesMax }, (_, at) => messageAt(at, random));
    await dovecot.command(`CREATE round${round}`);
    for (const message of messages) await dovecot.append(`round${round}`, message);
    await dovecot.command(`SELECT round${round}`);
    await client.select(
      `round${round}`,
      messages.map((message) => message.replaceAll('\r\n', '\n')),
    );
    for (const command of commands) {
      const theirs = (await dovecot.command(command)).find((line) => /^\* (?:SORT|THREAD)/.test(line));
      const ours = (await client.ok(command)).split('\n')[0];
      assert.equal(ours, theirs, `${command}\n${messages.join('\n')}`);
    }
  }
});
