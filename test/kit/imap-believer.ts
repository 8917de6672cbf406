/**
 * A session of IMAP that believes what it is told, and throws where it is told something that cannot be: numbers that
 * shift where they must not, UIDs that change or go down, modseqs that fall, messages that become others.
 * RFC 9051 sections 2.3.1, 5.5 and 7.5; RFC 7162 sections 3.1 and 3.2.
 */
import assert from 'node:assert/strict';
import type { ImapClient } from './imap-client.ts';
import { type ImapValue, parseValues } from './imap-values.ts';

export interface Believed {
  uid?: number;
  /** Sorted, without `\Recent`. */
  flags?: string;
  modseq?: number;
}

/** What a UID's message is made of, by item: the same for all sessions, for ever. */
export type Contents = Map<string, string>;

/** Extensions that a session lives with. */
export type Manner = 'plain' | 'condstore' | 'qresync';

const constantItems: ReadonlySet<string> = new Set([
  'BODY[HEADER]',
  'EMAILID',
  'ENVELOPE',
  'INTERNALDATE',
  'RFC822.SIZE',
]);

export class Believer {
  readonly name: string;
  readonly manner: Manner;
  readonly #contents: Contents;
  #client: ImapClient;
  #mailbox = '';
  #uidValidity = '';
  #highestModseq = 0;
  /** By message number, from 0. */
  messages: Believed[] = [];

  constructor(client: ImapClient, name: string, manner: Manner, contents: Contents) {
    this.#client = client;
    this.name = name;
    this.manner = manner;
    this.#contents = contents;
  }

  get count(): number {
    return this.messages.length;
  }

  async select(mailbox: string): Promise<void> {
    if (this.manner !== 'plain') await this.#client.ok(`ENABLE ${this.manner}`);
    this.#mailbox = mailbox;
    this.messages = [];
    await this.do(`SELECT ${mailbox}`, { mayExpunge: true });
    // RFC 7162 section 3.2.10: who hears VANISHED has to know the UIDs.
    if (this.manner === 'qresync') await this.learn();
  }

  /** The UIDs and flags of all. */
  async learn(): Promise<void> {
    if (this.count > 0) await this.do('FETCH 1:* (UID FLAGS)', { mayExpunge: false });
  }

  /** Comes back with what it knows; afterwards it knows everything. RFC 7162 section 3.2.5. */
  async comeBack(client: ImapClient): Promise<void> {
    // Expunges that were held back may be older than a modseq that was told, and so may messages without a UID.
    await this.do('NOOP', { mayExpunge: true });
    while (this.messages.some(({ uid }) => uid === undefined)) {
      await this.learn();
      await this.do('NOOP', { mayExpunge: true });
    }
    this.#client.close();
    this.#client = client;
    await client.ok('ENABLE QRESYNC');
    const before = new Map(this.messages.map((known) => [known.uid, known]));
    const { isUidValidity, lines } = await this.#resync();
    assert.ok(isUidValidity, `${this.name}: UIDVALIDITY changed`);
    const where = `${this.name} comes back: ${lines.join('\n')}`;
    const values = lines.map((line) => parseValues(line));
    const told = lines.flatMap((line) => /^\* VANISHED \(EARLIER\) (\S+)$/.exec(line)?.[1] ?? []);
    for (const set of told) for (const uid of uidsOf(where, set)) before.delete(uid);
    const fetched = values.filter(([, , what]) => what === 'FETCH');
    for (const [, , , items] of fetched) before.set(Number(item(items!, 'UID')), {});
    this.messages = [...before].sort(([a], [b]) => a! - b!).map(([uid, known]) => ({ ...known, uid: uid! }));
    const exists = values.find(([, , what]) => what === 'EXISTS');
    assert.equal(this.count, Number(exists?.[1]), where);
    for (const line of lines) this.hear(line, { mayExpunge: true, command: 'SELECT', isResync: true });
  }

  async #resync(): Promise<{ isUidValidity: boolean; lines: string[] }> {
    const tag = this.#client.tag();
    const known = `${this.#uidValidity} ${this.#highestModseq}`;
    const lines = await this.#client.wire.command(tag, `SELECT ${this.#mailbox} (QRESYNC (${known}))`);
    assert.match(lines.pop()!, / OK /);
    return {
      isUidValidity: lines.some((line) => line.includes(`[UIDVALIDITY ${this.#uidValidity}]`)),
      lines,
    };
  }

  /** @returns the tagged response without its tag, and the untagged ones */
  async do(command: string, options: { readonly mayExpunge: boolean }): Promise<string[]> {
    const tag = this.#client.tag();
    this.#client.wire.send(`${tag} ${command}\r\n`);
    return this.#answer(tag, command, options.mayExpunge);
  }

  /** Commands that are sent together; each is answered in its turn. */
  async pipeline(commands: readonly { text: string; mayExpunge: boolean }[]): Promise<void> {
    const tagged = commands.map((each) => ({ ...each, tag: this.#client.tag() }));
    this.#client.wire.send(tagged.map(({ tag, text }) => `${tag} ${text}\r\n`).join(''));
    for (const { tag, text, mayExpunge } of tagged) await this.#answer(tag, text, mayExpunge);
  }

  /** @param meanwhile what is waited for */
  async idle(meanwhile: () => Promise<unknown>): Promise<void> {
    const tag = this.#client.tag();
    this.#client.wire.send(`${tag} IDLE\r\n`);
    await this.#answer(tag, 'IDLE', true);
    await meanwhile();
    this.#client.wire.send('DONE\r\n');
    await this.#answer(tag, 'DONE', true);
  }

  async #answer(tag: string, command: string, mayExpunge: boolean): Promise<string[]> {
    const responses = await this.#client.wire.until(tag);
    assert.notEqual(responses.at(-1), '', `${this.name}: the server closed the connection at ${command}`);
    for (const line of responses) this.hear(line, { mayExpunge, command, isResync: false });
    return [responses.at(-1)!.replace(`${tag} `, ''), ...responses.slice(0, -1)];
  }

  hear(line: string, context: { mayExpunge: boolean; command: string; isResync: boolean }): void {
    const where = `${this.name}: ${context.command}: ${line}, with ${this.count} messages`;
    const [, number, what] = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)\b/.exec(line) ?? [];
    const vanished = /^\* VANISHED (\S+)$/.exec(line)?.[1];
    const validity = /^\* OK \[UIDVALIDITY (\d+)\]/.exec(line)?.[1];
    const highest = /\[HIGHESTMODSEQ (\d+)\]/.exec(line)?.[1];
    if (validity) this.#uidValidity = validity;
    if (highest) this.#highestModseq = Math.max(this.#highestModseq, Number(highest));
    if (vanished) {
      assert.ok(context.mayExpunge && this.manner === 'qresync', where);
      for (const uid of uidsOf(where, vanished)) this.#vanish(uid, where);
    }
    if (what === 'EXISTS') this.#exists(Number(number), where);
    else if (what === 'EXPUNGE') {
      assert.ok(context.mayExpunge && this.manner !== 'qresync', where);
      assert.ok(this.messages[Number(number) - 1], where);
      this.messages.splice(Number(number) - 1, 1);
    } else if (what === 'FETCH') {
      const known = this.messages[Number(number) - 1];
      assert.ok(known, where);
      this.#fetched(known, parseValues(line)[3]!, where);
    }
  }

  #exists(count: number, where: string): void {
    assert.ok(count >= this.count, where);
    while (this.count < count) this.messages.push({});
  }

  /** RFC 7162 section 3.2.10: each UID is that of a message that was told of, whether its UID was or not. */
  #vanish(uid: number, where: string): void {
    const known = this.messages.findIndex((message) => message.uid === uid);
    const after =
      this.messages.findLastIndex((message) => message.uid !== undefined && message.uid < uid) + 1;
    const at = known >= 0 ? known : after;
    assert.ok(known >= 0 || (at < this.count && this.messages[at]!.uid === undefined), where);
    this.messages.splice(at, 1);
  }

  #fetched(known: Believed, items: ImapValue, where: string): void {
    const uid = item(items, 'UID');
    const flags = item(items, 'FLAGS');
    const modseq = item(items, 'MODSEQ');
    if (uid !== undefined) {
      assert.ok(known.uid === undefined || known.uid === Number(uid), `${where}: its UID was ${known.uid}`);
      known.uid = Number(uid);
      this.#checkOrder(known, where);
    }
    const next = flags === undefined ? known.flags : flagsText(flags);
    if (modseq !== undefined) {
      const value = Number(modseq[0]);
      assert.ok(
        known.modseq === undefined || value >= known.modseq,
        `${where}: its MODSEQ was ${known.modseq}`,
      );
      if (known.flags !== undefined && next !== known.flags) assert.notEqual(value, known.modseq, where);
      known.modseq = value;
      this.#highestModseq = Math.max(this.#highestModseq, value);
    }
    // A modseq alone says that the flags are others now: those of a silent STORE.
    if (flags === undefined && modseq !== undefined) delete known.flags;
    else if (next !== undefined) known.flags = next;
    if (known.uid !== undefined) this.#checkContents(known.uid, items, where);
  }

  #checkOrder(known: Believed, where: string): void {
    const at = this.messages.indexOf(known);
    const before = this.messages.slice(0, at).findLast(({ uid }) => uid !== undefined)?.uid ?? 0;
    const after = this.messages.slice(at + 1).find(({ uid }) => uid !== undefined)?.uid;
    assert.ok(before < known.uid! && (after === undefined || known.uid! < after), where);
  }

  #checkContents(uid: number, items: ImapValue, where: string): void {
    for (let at = 0; at < items.length; at += 2) {
      const name = String(items[at]);
      if (!constantItems.has(name)) continue;
      const value = JSON.stringify(items[at + 1]);
      const key = `${uid} ${name}`;
      assert.equal(this.#contents.get(key) ?? value, value, where);
      this.#contents.set(key, value);
    }
  }
}

function item(items: ImapValue, name: string): ImapValue | undefined {
  for (let at = 0; at < items.length; at += 2) if (items[at] === name) return items[at + 1];
  return undefined;
}

function flagsText(flags: ImapValue): string {
  return (flags as readonly string[])
    .filter((flag) => flag !== '\\Recent')
    .sort()
    .join(' ');
}

function uidsOf(where: string, set: string): number[] {
  return set.split(',').flatMap((range) => {
    const [first, last = first] = range.split(':').map(Number) as [number, number?];
    assert.ok(first > 0 && last >= first && last - first < 1_000_000, where);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}
