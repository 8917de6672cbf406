/** Mail of other servers brought here: nothing is deleted there before it lies durably here, and nothing comes twice unless a crash cuts in. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { ImapFlow } from 'imapflow';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { fetchLimits } from '../../core/base/limits/outbound.ts';
import type { FetchAccount } from '../../core/config/config.ts';
import { Pop3Client } from '../../core/net/pop3-client.ts';
import { type Fate, Seen } from './seen.ts';

/** Takes a message in. Resolves with true once it is on disk, with false when it was refused for good; rejects to try later. */
export type TakeIn = (recipient: string, message: Buffer) => Promise<boolean>;

export interface FetchReport {
  readonly account: string;
  readonly fetched: number;
  /** Refused here for good: they stay there, and are not asked for again. */
  readonly refused: number;
  readonly deleted: number;
}

export interface FetchInit {
  /** Absolute; one file for each account. */
  readonly directory: string;
  readonly messageBytesMax: number;
  readonly takeIn: TakeIn;
  /** Ends the round after the message under way; what was fetched before is noted at once. */
  readonly signal?: AbortSignal;
}

/** One round for one account. @throws OperationalError; what was fetched until then is fetched */
export async function fetchAccount(account: FetchAccount, init: FetchInit): Promise<FetchReport> {
  const round = new Round(account, init);
  await round.run();
  return round.report();
}

class Round {
  readonly #account: FetchAccount;
  readonly #init: FetchInit;
  readonly #seen: Seen;
  #fetched = 0;
  #refused = 0;
  #deleted = 0;
  #isProven = false;

  constructor(account: FetchAccount, init: FetchInit) {
    this.#account = account;
    this.#init = init;
    this.#seen = new Seen(init.directory, account.name);
  }

  report(): FetchReport {
    const { name } = this.#account;
    return { account: name, fetched: this.#fetched, refused: this.#refused, deleted: this.#deleted };
  }

  async run(): Promise<void> {
    await (this.#account.protocol === 'pop3' ? this.#pop3() : this.#imap());
  }

  async #pop3(): Promise<void> {
    const { host, port, tls, user, password } = this.#account;
    const ca = this.#ca();
    const client = await Pop3Client.connect({
      host,
      port,
      tls,
      user,
      password,
      ...(ca === undefined ? {} : { ca }),
      timeoutMs: fetchLimits.answerMs,
      messageBytesMax: this.#init.messageBytesMax,
    });
    await this.#noting(
      () => this.#pop3Messages(client),
      () => client.destroy(),
    );
  }

  async #pop3Messages(client: Pop3Client): Promise<void> {
    const entries = await client.list();
    const isSeen = this.#seen.open(
      '',
      '',
      entries.map(({ uidl }) => uidl),
    );
    for (const { number, uidl } of entries) {
      if (this.#isStopped()) break;
      const fate = isSeen(uidl) ?? (await this.#take('', uidl, await client.retrieve(number)));
      if (fate === 'refused' || this.#account.keep) continue;
      await client.delete(number);
      this.#deleted += 1;
    }
    // Only QUIT deletes. RFC 1939 section 6.
    this.#seen.flush();
    await client.quit();
  }

  async #imap(): Promise<void> {
    const { host, port, tls, user, password } = this.#account;
    const ca = this.#ca();
    const client = new ImapFlow({
      host,
      port,
      secure: tls === 'implicit',
      ...(tls === 'starttls' ? { doSTARTTLS: true } : {}),
      ...(tls === 'none' ? { doSTARTTLS: false } : {}),
      auth: { user, pass: password },
      ...(ca === undefined ? {} : { tls: { ca: [...ca] } }),
      logger: false,
      connectionTimeout: fetchLimits.answerMs,
      socketTimeout: fetchLimits.answerMs,
    });
    // Failures reach the call that waits; without a listener they would end the process as well.
    client.on('error', () => {});
    await this.#noting(
      () => this.#imapFolders(client),
      () => client.close(),
    );
  }

  async #imapFolders(client: ImapFlow): Promise<void> {
    try {
      await client.connect();
      for (const folder of this.#account.folders) {
        if (!this.#isStopped()) await this.#imapFolder(client, folder);
      }
      await client.logout();
    } catch (error) {
      if (error instanceof OperationalError) throw error;
      const said = (error as { responseText?: string }).responseText;
      throw new OperationalError('fetch-imap', said ?? describeError(error), {
        temporary: true,
        cause: error,
      });
    }
  }

  async #imapFolder(client: ImapFlow, folder: string): Promise<void> {
    const { keep } = this.#account;
    const mailbox = await client.mailboxOpen(folder, { readOnly: keep });
    const uids = (await client.search({ all: true }, { uid: true })) || [];
    const isSeen = this.#seen.open(folder, String(mailbox.uidValidity), uids.map(String));
    const done: number[] = [];
    for (const uid of uids) {
      if (this.#isStopped()) break;
      const fate = isSeen(String(uid)) ?? (await this.#imapMessage(client, folder, uid));
      if (fate === 'taken' && !keep) done.push(uid);
    }
    this.#seen.flush();
    for (let at = 0; at < done.length; at += fetchLimits.deleteAtOnce) {
      const some = done.slice(at, at + fetchLimits.deleteAtOnce);
      await client.messageDelete(some.join(','), { uid: true });
      this.#deleted += some.length;
    }
  }

  /** Undefined when it is gone meanwhile. */
  async #imapMessage(client: ImapFlow, folder: string, uid: number): Promise<Fate | undefined> {
    const facts = await client.fetchOne(String(uid), { size: true }, { uid: true });
    if (!facts) return undefined;
    if ((facts.size ?? 0) > this.#init.messageBytesMax) return this.#take(folder, String(uid), undefined);
    const found = await client.fetchOne(String(uid), { source: true }, { uid: true });
    if (!found || found.source === undefined) return undefined;
    return this.#take(folder, String(uid), found.source);
  }

  /** @param message undefined: larger than is taken */
  async #take(folder: string, id: string, message: Buffer | undefined): Promise<Fate> {
    if (!this.#isProven) this.#seen.prove();
    this.#isProven = true;
    const taken = message !== undefined && (await this.#init.takeIn(this.#account.to, message));
    if (taken) this.#fetched += 1;
    else this.#refused += 1;
    // After the message is on disk and before anything is deleted: a crash in between brings it twice, never loses it.
    const fate = taken ? 'taken' : 'refused';
    this.#seen.add(folder, id, fate);
    // Nobody knows how long the process lives on.
    if (this.#isStopped()) this.#seen.flush();
    return fate;
  }

  #isStopped(): boolean {
    return this.#init.signal?.aborted === true;
  }

  /** However the session ends, and as soon as it is told to: what was fetched is noted; then the connection is closed. */
  async #noting(session: () => Promise<void>, close: () => void): Promise<void> {
    const { signal } = this.#init;
    signal?.addEventListener('abort', this.#noteNow);
    try {
      await session();
      this.#seen.flush();
    } catch (error) {
      this.#flushAfter(error);
      throw error;
    } finally {
      signal?.removeEventListener('abort', this.#noteNow);
      close();
    }
  }

  /** The session tries again at its end, and says then what is wrong. */
  readonly #noteNow = (): void => {
    try {
      this.#seen.flush();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
    }
  };

  /** Where nothing can be noted either, both are told: the first is the cause, the second has mail come twice. */
  #flushAfter(error: unknown): void {
    try {
      this.#seen.flush();
    } catch (second) {
      if (!(error instanceof OperationalError) || !(second instanceof OperationalError)) throw error;
      if (error.code === second.code) throw error;
      throw new OperationalError(error.code, `${error.message}; ${second.message}`, {
        temporary: true,
        cause: error,
      });
    }
  }

  #ca(): readonly string[] | undefined {
    const { caFile } = this.#account;
    return caFile === undefined ? undefined : [...rootCertificates, readFileSync(caFile, 'utf8')];
  }
}
