/**
 * Several sessions change one mailbox at the same time, each keeping the state that its answers tell: message numbers
 * never lie, and in the end all see the same. RFC 9051 sections 5.5 and 7.5.1, RFC 7162.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Believer, type Contents, type Manner } from '../../kit/imap-believer.ts';
import { type ImapServer, openImapServer } from '../../kit/imap-client.ts';
import { type RandomSource, randomSource } from '../../kit/random.ts';

const mailbox = 'shared';
const flags = ['\\Seen', '\\Flagged', '\\Deleted', '\\Answered', '\\Draft', 'kw1', 'kw2'];
const searches = ['SEEN', 'UNDELETED', 'SUBJECT 1', 'ALL', 'NOT (KEYWORD kw1)', 'OR DELETED TEXT 12', 'NEW'];
const items = [
  'FLAGS',
  'UID FLAGS',
  'ENVELOPE UID',
  'BODY[HEADER] UID',
  'RFC822.SIZE INTERNALDATE UID',
  'EMAILID UID',
];

interface Command {
  readonly text: string;
  readonly mayExpunge: boolean;
}

/** A message of this stress, pushed as a literal. */
function literal(random: RandomSource): string {
  const text = `Subject: ${100 + random.below(900)}\r\n\r\n${'x'.repeat(random.below(60))}\r\n`;
  return `{${text.length}+}\r\n${text}`;
}

function commandsOf({ count, messages, manner }: Believer, random: RandomSource): Command[] {
  const number = () => 1 + random.below(count);
  const set = () => random.pick([`${number()}`, `${number()}:*`, `${number()},${number()}`, '*']);
  const uid = () => messages[random.below(count)]?.uid ?? 1 + random.below(1000);
  const list = () =>
    `${random.pick(['+', '-', ''])}FLAGS${random.pick(['', '.SILENT'])} (${random.pick(flags)})`;
  const commands = [
    { text: `APPEND ${mailbox} ${literal(random)}`, mayExpunge: true },
    { text: `APPEND ${mailbox} (\\Seen kw1) ${literal(random)} ${literal(random)}`, mayExpunge: true },
    { text: 'NOOP', mayExpunge: true },
    { text: 'CHECK', mayExpunge: true },
    { text: `STATUS ${mailbox} (MESSAGES UIDNEXT UNSEEN)`, mayExpunge: true },
    { text: 'UID SEARCH ALL', mayExpunge: true },
  ];
  if (count === 0) return commands;
  const since = messages[number() - 1]?.modseq ?? 1;
  if (manner !== 'plain') {
    commands.push(
      { text: `UID STORE ${uid()}:* (UNCHANGEDSINCE ${since}) ${list()}`, mayExpunge: true },
      { text: `FETCH 1:* (UID FLAGS) (CHANGEDSINCE ${since})`, mayExpunge: false },
      { text: `SEARCH RETURN (ALL) MODSEQ ${since}`, mayExpunge: false },
    );
  }
  return [
    ...commands,
    { text: `FETCH ${set()} (${random.pick(items)})`, mayExpunge: false },
    { text: `FETCH ${set()} (UID BODY[])`, mayExpunge: false },
    { text: `UID FETCH ${uid()}:* (${random.pick(items)})`, mayExpunge: true },
    { text: `STORE ${set()} ${list()}`, mayExpunge: false },
    { text: `STORE ${set()} ${list()}`, mayExpunge: false },
    { text: `UID STORE ${uid()} ${list()}`, mayExpunge: true },
    { text: `SEARCH ${random.pick(searches)}`, mayExpunge: false },
    { text: `SORT (${random.pick(['SUBJECT', 'REVERSE ARRIVAL', 'SIZE'])}) UTF-8 ALL`, mayExpunge: false },
    { text: 'THREAD REFERENCES UTF-8 ALL', mayExpunge: false },
    { text: `COPY ${number()} ${mailbox}`, mayExpunge: true },
    { text: `UID COPY ${uid()}:* elsewhere`, mayExpunge: true },
    { text: `MOVE ${number()} elsewhere`, mayExpunge: true },
    { text: 'EXPUNGE', mayExpunge: true },
    { text: `UID EXPUNGE ${uid()}:*`, mayExpunge: true },
  ];
}

/** One random act of a session; commands are right as far as it can know. */
async function step(server: ImapServer, session: Believer, random: RandomSource): Promise<void> {
  const any = () => random.pick(commandsOf(session, random));
  switch (random.below(20)) {
    case 0:
      await session.idle(() => delay(random.below(10)));
      break;
    case 1:
      // What comes first may change what the numbers of the next ones mean: those may be refused.
      await session.pipeline([any(), any(), any()]);
      break;
    case 2:
      if (session.manner === 'qresync') await session.comeBack(await server.client());
      break;
    default: {
      const { text, mayExpunge } = any();
      const [tagged, ...untagged] = await session.do(text, { mayExpunge });
      assert.match(tagged!, /^OK|^NO \[EXPUNGEISSUED\]/, `${session.name}: ${text}`);
      checkResult(session, text, untagged);
    }
  }
  // RFC 7162 section 3.2.10: new messages are asked for, so that VANISHED can be understood.
  if (session.manner === 'qresync' && session.messages.some(({ uid }) => uid === undefined))
    await session.learn();
}

/** Results name messages that the session knows of; SORT names each once. */
function checkResult({ name, count }: Believer, command: string, untagged: readonly string[]): void {
  if (command.startsWith('UID') || command.includes('RETURN')) return;
  const result = untagged.map((line) => /^\* (SEARCH|SORT)((?: \d+)*)/.exec(line)).find(Boolean);
  if (!result) return;
  const numbers = result[2]!.split(' ').slice(1).map(Number);
  assert.equal(new Set(numbers).size, numbers.length, `${name}: ${command}`);
  assert.ok(
    numbers.every((number) => number >= 1 && number <= count),
    `${name}: ${command}: ${numbers} of ${count}`,
  );
}

for (const mailFormat of ['maildir', 'mbox'] as const) {
  test(`sessions on one ${mailFormat} keep true numbers and end equal`, async (t) => {
    const random = randomSource(`imap stress on ${mailFormat}`);
    const server = await openImapServer(t, { mailFormat });
    const first = await server.client();
    await first.ok(`CREATE ${mailbox}`);
    await first.ok('CREATE elsewhere');
    for (let at = 0; at < 10; at += 1) await first.append(mailbox, `Subject: ${at}\n\nx\n`);
    const contents: Contents = new Map();
    const open = async (name: string, manner: Manner) => {
      const session = new Believer(await server.client(), name, manner, contents);
      await session.select(mailbox);
      return session;
    };
    const manners = ['plain', 'condstore', 'qresync', 'plain', 'qresync'] as const;
    const sessions = await Promise.all(manners.map((manner, at) => open(`${manner} ${at}`, manner)));
    const steps = process.env.MAILFILTER_CAMPAIGN === '1' ? 3000 : 40;
    await Promise.all(
      sessions.map(async (session) => {
        for (let at = 0; at < steps; at += 1) await step(server, session, random);
      }),
    );
    const fresh = await open('fresh', 'plain');
    const known = [];
    for (const session of [...sessions, fresh]) {
      await session.do('NOOP', { mayExpunge: true });
      await session.learn();
      known.push(session.messages.map(({ uid, flags: told }) => ({ uid, flags: told })));
    }
    for (const each of known) assert.deepEqual(each, known[0]);
    assert.deepEqual(server.bugs(), []);
  });
}
