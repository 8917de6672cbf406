/** Dovecot and we on the same mailbox at the same time: UIDs, flags, keywords and mail stay right on both sides. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dovecot, requireDovecot, startDovecot } from '../kit/dovecot.ts';
import { randomSource } from '../kit/random.ts';
import { type Format, type Seen, TestAccount } from '../mailbox/test-account.ts';

/** UID, flags and subject of every message, as Dovecot tells. */
async function lookThrough(
  dovecot: Dovecot,
  folder: string,
): Promise<{ uid: number; flags: string[]; subject: string }[]> {
  await dovecot.command(`SELECT "${folder}"`);
  const lines = await dovecot.command('UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])');
  const messages = [];
  for (const [at, line] of lines.entries()) {
    const match = /FETCH \(UID (\d+) FLAGS \(([^)]*)\)/.exec(line);
    if (!match) continue;
    const flags = match[2]!.split(' ').filter((flag) => flag !== '' && flag !== '\\Recent');
    const subject = lines[at + 1]!.replace(/^Subject: /, '');
    messages.push({ uid: Number(match[1]), flags: flags.sort(), subject });
  }
  return messages;
}

function brief({ uid, flags, text }: Seen) {
  return { uid, flags: [...flags].sort(), subject: /^Subject: (.*)$/m.exec(text)?.[1] ?? '' };
}

const mail = (subject: string) => `From: a@example.test\nSubject: ${subject}\n\nbody of ${subject}\n`;
const crlf = (text: string) => text.replaceAll('\n', '\r\n');

for (const format of ['maildir', 'mbox'] satisfies Format[]) {
  test(`${format}: what one does, the other sees, with the same UIDs, flags and keywords`, async (t) => {
    if (!requireDovecot(t)) return;
    const account = new TestAccount(format);
    t.after(() => account.close());
    await account.append('INBOX', [mail('one'), mail('two')], ['\\Seen', 'work']);
    const dovecot = await startDovecot({
      format,
      path: account.path,
      directory: join(account.directory, 'dovecot'),
    });
    t.after(() => dovecot.end());
    const same = async (what: string) => {
      await sleep(40);
      const ours = (await account.look('INBOX')).map(brief);
      assert.deepEqual(await lookThrough(dovecot, 'INBOX'), ours, what);
      return ours;
    };
    const [status] = (await dovecot.command('STATUS INBOX (UIDVALIDITY UIDNEXT)')).filter((line) =>
      line.startsWith('* STATUS'),
    );
    const { uidValidity, uidNext } = await account.engine.status('INBOX', {});
    assert.match(status!, new RegExp(`UIDVALIDITY ${uidValidity}\\b`));
    assert.match(status!, new RegExp(`UIDNEXT ${uidNext}\\b`));
    await same('as we made it');
    await dovecot.append('INBOX', crlf(mail('three')), '\\Flagged later');
    await same('a message of Dovecot');
    await dovecot.command('UID STORE 1 +FLAGS (\\Answered fromDovecot)');
    await same('flags of Dovecot');
    await account.with('INBOX', (held) =>
      account.engine.store(held, [2], { how: 'add', flags: ['fromUs', '\\Draft'] }, undefined),
    );
    await same('flags of ours');
    await dovecot.command('UID STORE 1 +FLAGS (\\Deleted)');
    await dovecot.command('EXPUNGE');
    await same('an expunge of Dovecot');
    await account.with('INBOX', (held) => account.engine.expunge(held, [2], true));
    await account.append('INBOX', [mail('four')]);
    const ours = await same('an expunge and a message of ours');
    assert.deepEqual(
      ours.map(({ uid, subject }) => [uid, subject]),
      [
        [3, 'three'],
        [4, 'four'],
      ],
    );
  });

  test(`${format}: both at work at once lose nothing and agree in the end`, async (t) => {
    if (!requireDovecot(t)) return;
    const account = new TestAccount(format);
    t.after(() => account.close());
    const { below } = randomSource(`dovecot-mailbox ${format}`);
    const dovecot = await startDovecot({
      format,
      path: account.path,
      directory: join(account.directory, 'dovecot'),
    });
    t.after(() => dovecot.end());
    const expected = new Set<string>();
    await dovecot.command('SELECT INBOX');
    const theirs = async () => {
      for (let n = 0; n < 40; n += 1) {
        const subject = `dovecot ${n}`;
        await dovecot.append('INBOX', crlf(mail(subject)), below(3) === 0 ? 'kept' : '\\Seen');
        expected.add(subject);
        await dovecot.command(`STORE ${1 + below(n + 1)} +FLAGS (\\Answered)`).catch(() => undefined);
      }
    };
    const ours = async () => {
      for (let n = 0; n < 40; n += 1) {
        const subject = `ours ${n}`;
        await account.append('INBOX', [mail(subject)], ['own']);
        expected.add(subject);
        await account.with('INBOX', (held) => {
          const { state } = held.book;
          const uid = state.uidAt(below(state.count));
          return account.engine.store(held, [uid], { how: 'add', flags: ['\\Flagged'] }, undefined);
        });
        await sleep(below(5));
      }
    };
    await Promise.all([theirs(), ours()]);
    await sleep(1100);
    const seen = (await account.look('INBOX')).map(brief);
    assert.deepEqual(new Set(seen.map(({ subject }) => subject)), expected);
    assert.equal(seen.length, expected.size);
    assert.deepEqual(await lookThrough(dovecot, 'INBOX'), seen);
    const { uidValidity } = await account.engine.status('INBOX', {});
    await account.reopen({ loseIndex: true });
    assert.deepEqual((await account.look('INBOX')).map(brief), seen);
    assert.equal((await account.engine.status('INBOX', {})).uidValidity, uidValidity);
  });
}
