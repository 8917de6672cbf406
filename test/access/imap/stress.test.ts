/**
 * Several sessions change one mailbox at the same time, each keeping the state that its answers tell: message numbers
 * never lie, and in the end all see the same. RFC 9051 sections 5.5 and 7.5.1.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ImapClient, type ImapServer, openImapServer } from '../../kit/imap-client.ts';
import { parseValues } from '../../kit/imap-values.ts';
import { type RandomSource, randomSource } from '../../kit/random.ts';

interface Known {
  uid?: number;
  flags?: string;
}

/** What a client may believe after all that it was told. */
class Believer {
  readonly client: ImapClient;
  readonly #name: string;
  messages: Known[] = [];
  #mayExpunge = true;

  constructor(client: ImapClient, name: string) {
    this.client = client;
    this.#name = name;
  }

  async select(mailbox: string): Promise<void> {
    this.messages = [];
    await this.do(`SELECT ${mailbox}`, true);
  }

  /** @param mayExpunge whether the command's answer may change numbers */
  async do(command: string, mayExpunge: boolean): Promise<string> {
    this.#mayExpunge = mayExpunge;
    const heard = await this.client.say(command);
    for (const line of heard.split('\n')) this.#hear(line, command);
    return heard;
  }

  #hear(line: string, command: string): void {
    const match = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: (.*))?$/.exec(line);
    if (!match) return;
    const number = Number(match[1]);
    const where = `${this.#name}: ${command}: ${line}, with ${this.messages.length} messages`;
    if (match[2] === 'EXISTS') {
      assert.ok(number >= this.messages.length, where);
      while (this.messages.length < number) this.messages.push({});
      return;
    }
    assert.ok(number >= 1 && number <= this.messages.length, where);
    if (match[2] === 'EXPUNGE') {
      assert.ok(this.#mayExpunge, where);
      this.messages.splice(number - 1, 1);
    } else this.#fetched(this.messages[number - 1]!, match[3]!, where);
  }

  #fetched(known: Known, items: string, where: string): void {
    const [list] = parseValues(items);
    for (let at = 0; at < list!.length; at += 2) {
      const value = (list as readonly (string | readonly string[])[])[at + 1]!;
      if (list![at] === 'UID') {
        assert.ok(known.uid === undefined || known.uid === Number(value), `${where}: UID was ${known.uid}`);
        known.uid = Number(value);
      } else if (list![at] === 'FLAGS') {
        known.flags = (value as readonly string[])
          .filter((flag) => flag !== '\\Recent')
          .sort()
          .join(' ');
      }
    }
    const uids = this.messages.map(({ uid }) => uid).filter((uid) => uid !== undefined);
    assert.deepEqual(
      uids,
      [...uids].sort((a, b) => a - b),
      where,
    );
  }
}

/** One random command of a session. */
async function step(session: Believer, random: RandomSource, mailbox: string): Promise<void> {
  const count = session.messages.length;
  const number = () => 1 + random.below(Math.max(1, count));
  const set = () => (random.below(4) === 0 ? `${number()}:*` : `${number()}`);
  const flag = () => random.pick(['\\Seen', '\\Flagged', '\\Deleted', '\\Answered', 'kw1', 'kw2']);
  const commands: (() => Promise<unknown>)[] = [
    () => session.do(`APPEND ${mailbox} {14+}\r\nSubject: ${100 + random.below(900)}\r\n`, true),
    () => session.do('NOOP', true),
    () => session.do('CHECK', true),
  ];
  if (count > 0) {
    commands.push(
      () => session.do(`FETCH ${set()} (UID FLAGS)`, false),
      () => session.do(`UID FETCH 1:* (FLAGS)`, true),
      () => session.do(`FETCH ${set()} (ENVELOPE BODY[])`, false),
      () => session.do(`STORE ${set()} ${random.pick(['+', '-'])}FLAGS (${flag()})`, false),
      () => session.do(`STORE ${set()} FLAGS (${flag()})`, false),
      () => session.do(`SEARCH ${random.pick(['SEEN', 'UNDELETED', 'SUBJECT 1', 'ALL'])}`, false),
      () => session.do(`UID SEARCH ALL`, true),
      () => session.do(`COPY ${number()} ${mailbox}`, true),
      () => session.do(`MOVE ${number()} elsewhere`, true),
      () => session.do('EXPUNGE', true),
      () => session.do('SORT (SUBJECT) UTF-8 ALL', false),
    );
  }
  await random.pick(commands)();
}

async function openSession(server: ImapServer, mailbox: string, name: string): Promise<Believer> {
  const session = new Believer(await server.client(), name);
  await session.select(mailbox);
  return session;
}

for (const mailFormat of ['maildir', 'mbox'] as const) {
  test(`sessions on one ${mailFormat} keep true numbers and end equal`, async (t) => {
    const random = randomSource(`imap stress on ${mailFormat}`);
    const server = await openImapServer(t, { mailFormat });
    const first = await server.client();
    await first.ok('CREATE shared');
    await first.ok('CREATE elsewhere');
    for (let at = 0; at < 10; at += 1) await first.append('shared', `Subject: ${at}\n\nx\n`);
    const sessions: Believer[] = [];
    for (const name of ['a', 'b', 'c', 'd']) sessions.push(await openSession(server, 'shared', name));
    const steps = process.env.MAILFILTER_CAMPAIGN === '1' ? 2000 : 120;
    await Promise.all(
      sessions.map(async (session) => {
        for (let at = 0; at < steps; at += 1) await step(session, random, 'shared');
      }),
    );
    for (const session of sessions) {
      await session.do('NOOP', true);
      if (session.messages.length > 0) await session.do('FETCH 1:* (UID FLAGS)', false);
    }
    const [one, ...others] = sessions;
    for (const other of others) assert.deepEqual(other.messages, one!.messages);
    const fresh = await openSession(server, 'shared', 'fresh');
    if (fresh.messages.length > 0) await fresh.do('FETCH 1:* (UID FLAGS)', false);
    assert.deepEqual(fresh.messages, one!.messages);
    assert.deepEqual(server.bugs(), []);
  });
}
