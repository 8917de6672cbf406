/** The INBOX as one POP3 session sees it: numbers given at login stay, whatever happens meanwhile. RFC 1939 section 5. */
import { pop3Limits } from '../../../core/base/limits/access.ts';
import type { Account, Folder, MessageOctets } from '../../mailbox/mailbox.ts';
import { Pop3Refusal } from './refusal.ts';

export class Maildrop {
  readonly folder: Folder;
  /** Message n is element n - 1. */
  readonly uids: readonly number[];
  readonly sizes: readonly number[];
  readonly deleted = new Set<number>();
  readonly read = new Set<number>();
  #uidls: readonly string[] | undefined;
  /** Messages read ahead of a client that takes one after the other. */
  #ahead: AsyncIterator<MessageOctets> | undefined;
  #nextAhead = 0;
  #lastRead = 0;

  /** @throws MailboxError */
  static async open(account: Account): Promise<Maildrop> {
    const folder = await account.openFolder('INBOX', { readOnly: false });
    try {
      await folder.refresh();
      const snapshot = await folder.ensure(folder.snapshot.uids, ['size']);
      const { uid, size } = snapshot.data.columns;
      const uids: number[] = [];
      const sizes: number[] = [];
      for (let index = 0; index < snapshot.count; index += 1) {
        // What is gone by now has no size.
        if (Number.isNaN(size[index])) continue;
        uids.push(uid[index]!);
        sizes.push(size[index]!);
      }
      return new Maildrop(folder, uids, sizes);
    } catch (error) {
      folder.close();
      throw error;
    }
  }

  private constructor(folder: Folder, uids: readonly number[], sizes: readonly number[]) {
    this.folder = folder;
    this.uids = uids;
    this.sizes = sizes;
  }

  /** Messages, those with DELE left out. */
  get count(): number {
    return this.uids.length - this.deleted.size;
  }

  /** Their octets. */
  get octets(): number {
    return this.sizes.reduce((sum, size, at) => (this.deleted.has(this.uids[at]!) ? sum : sum + size), 0);
  }

  /** UID of a message number as it is written. @throws Pop3Refusal */
  uidOf(written: string | undefined): number {
    if (written === undefined || !/^[0-9]{1,10}$/.test(written))
      throw new Pop3Refusal('a message number was expected');
    const uid = this.uids[Number(written) - 1];
    if (uid === undefined || this.deleted.has(uid)) throw new Pop3Refusal('there is no such message');
    return uid;
  }

  /** Numbers and UIDs, those with DELE left out. */
  *messages(): Generator<{ readonly number: number; readonly uid: number; readonly size: number }> {
    for (const [at, uid] of this.uids.entries()) {
      if (!this.deleted.has(uid)) yield { number: at + 1, uid, size: this.sizes[at]! };
    }
  }

  /** The unique id of each message, by its number - 1. */
  async uidls(): Promise<readonly string[]> {
    this.#uidls ??= await this.folder.pop3Uidls(this.uids);
    return this.#uidls;
  }

  /** CRLF line ends. @throws Pop3Refusal when another program removed it */
  async octetsOf(uid: number): Promise<Buffer> {
    const message = (await this.#fromAhead(uid)) ?? (await this.#alone(uid));
    if (!message) throw new Pop3Refusal('the message is gone', 'SYS/TEMP');
    const { octets } = message;
    return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  close(): void {
    void this.#ahead?.return?.();
    this.folder.close();
  }

  /** A second message in order shows that the client takes all of them. */
  async #fromAhead(uid: number): Promise<MessageOctets | undefined> {
    const at = this.uids.indexOf(uid, this.#lastRead);
    const follows = at === this.#lastRead + 1;
    this.#lastRead = Math.max(at, 0);
    if (!follows) return undefined;
    if (!this.#ahead || this.#nextAhead !== at) {
      void this.#ahead?.return?.();
      const next = this.uids.slice(at, at + pop3Limits.readAheadMessages);
      this.#ahead = this.folder.messages(next, 'all')[Symbol.asyncIterator]();
    }
    this.#nextAhead = at + 1;
    const { value, done } = await this.#ahead.next();
    if (!done && value.uid === uid) return value;
    void this.#ahead.return?.();
    this.#ahead = undefined;
    return undefined;
  }

  async #alone(uid: number): Promise<MessageOctets | undefined> {
    for await (const message of this.folder.messages([uid], 'all')) return message;
    return undefined;
  }
}
