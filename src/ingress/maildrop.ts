/** The door for programs of this machine: takes up what `mailfilter sendmail` left in the maildrop, as soon as it is there. */
import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { maildropLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import { isAddress } from '../../core/mail/address.ts';
import { type DsnRecipient, makeDsn } from '../../core/mail/dsn.ts';
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Connection } from '../../core/session/connection.ts';
import type { House } from '../flow/house.ts';
import type { FlowSession, KnownMail, OpenSession, SpooledMessage } from '../flow/session.ts';
import { submit } from '../flow/submit.ts';
import { type Drop, openDrop } from '../maildrop/drop.ts';

export interface MaildropOptions {
  /** Absolute; made by whoever made the data directory. */
  readonly directory: string;
  readonly house: () => House;
  readonly openSession: OpenSession;
  /** Name of a system user, for the sender that the program did not give. */
  readonly userName: (uid: number) => string | undefined;
  readonly log: Log;
}

export interface Maildrop {
  /** Takes nothing new, and waits for what is under way. */
  close(): Promise<void>;
}

export function openMaildrop(options: MaildropOptions): Maildrop {
  return new Pickup(options);
}

class Pickup implements Maildrop {
  readonly #options: MaildropOptions;
  readonly #watcher: FSWatcher | undefined;
  readonly #timer: NodeJS.Timeout;
  /** Files that were put off, and until when. */
  readonly #waiting = new Map<string, { until: number; delayMs: number }>();
  #scanning: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(options: MaildropOptions) {
    this.#options = options;
    this.#watcher = this.#watch();
    this.#timer = setInterval(() => this.#wake(), maildropLimits.scanMs);
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watcher?.close();
    await this.#scanning;
  }

  /** Without inotify the folder is looked at now and then. */
  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#options.directory, () => this.#wake());
      watcher.on('error', (error) => this.#options.log.warn('maildrop-unwatched', { error: error.message }));
      return watcher;
    } catch (error) {
      this.#options.log.warn('maildrop-unwatched', { error: describeError(error) });
      return undefined;
    }
  }

  #wake(): void {
    if (this.#closed) return;
    if (this.#scanning !== undefined) {
      this.#again = true;
      return;
    }
    this.#scanning = this.#scan()
      .catch((error) => this.#options.log.error('maildrop-unreadable', { error: describeError(error) }))
      .finally(() => {
        this.#scanning = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.#wake();
      });
  }

  async #scan(): Promise<void> {
    const names = (await readdir(this.#options.directory)).filter((name) => name.endsWith('.drop')).sort();
    for (const name of this.#waiting.keys()) if (!names.includes(name)) this.#waiting.delete(name);
    const now = Date.now();
    const due = names.filter((name) => (this.#waiting.get(name)?.until ?? 0) <= now);
    const next = due.values();
    const work = async () => {
      for (const name of next) {
        if (this.#closed) return;
        await this.#takeUp(name);
      }
    };
    await Promise.all(Array.from({ length: maildropLimits.atOnce }, work));
  }

  async #takeUp(name: string): Promise<void> {
    const { log, house } = this.#options;
    const path = join(this.#options.directory, name);
    try {
      const drop = await openDrop(path, house().config.limits.messageBytesMax);
      if (drop === undefined) return await this.#dropStale(path);
      try {
        await this.#accept(name, drop);
      } finally {
        await drop.close();
      }
      await unlink(path);
      this.#waiting.delete(name);
    } catch (error) {
      if (error instanceof OperationalError && error.code === 'maildrop-file') {
        log.error('maildrop-refused', { file: path, error: error.message });
        await unlink(path).catch(() => {});
        return;
      }
      const delayMs = Math.min((this.#waiting.get(name)?.delayMs ?? 500) * 2, maildropLimits.retryMsMax);
      this.#waiting.set(name, { until: Date.now() + delayMs, delayMs });
      log.warn('maildrop-deferred', { file: path, error: describeError(error), retryMs: delayMs });
      if (!this.#closed) setTimeout(() => this.#wake(), delayMs).unref();
    }
  }

  /** A program that was killed while it wrote leaves a part that nobody will end. */
  async #dropStale(path: string): Promise<void> {
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > maildropLimits.staleMs) await unlink(path);
  }

  /** Rejects when it is to be tried again; what is refused for good is told to the sender. */
  async #accept(name: string, drop: Drop): Promise<void> {
    const { openSession, house } = this.#options;
    const { hostname, domains } = house().config;
    const domain = domains[0] ?? hostname;
    const sender = this.#senderOf(drop, domain);
    const session = openSession(localConnection(name));
    const refused: DsnRecipient[] = [];
    try {
      await refuseTemporarily(session.connect());
      const spooled = await spool(house(), drop);
      const { ret, envid, body = '8bitmime' } = drop.envelope;
      const mailFrom = {
        sender,
        body,
        smtputf8: true,
        requireTls: false,
        ...(ret && { ret }),
        ...(envid && { envid }),
      };
      const all = drop.envelope.recipients.map((address, index) => recipientOf(address, index, domain, drop));
      const known = this.#known(name, drop);
      const kept = await offer(session, mailFrom, known, all, refused);
      if (refused.length > 0)
        await this.#bounce(known, { ...mailFrom, recipients: all }, refused, spooled.source);
      if (kept === 0) return spooled.release();
      const [reply] = await session.message(spooled);
      if (reply !== undefined && reply.code >= 500) {
        await this.#bounceAll(known, { ...mailFrom, recipients: all }, reply, drop);
      } else if (reply === undefined || reply.code >= 400) {
        throw new OperationalError('maildrop', reply?.text ?? 'no answer', { temporary: true });
      }
    } finally {
      session.reset();
      await session.close('quit');
    }
  }

  /** The file goes after the mail was accepted: a crash in between, or a disk that fails, brings it again. */
  #known(name: string, { identity, completedAt }: Drop): KnownMail {
    const id = createHash('sha256').update(identity).digest('hex').slice(0, 16).toUpperCase();
    const repeated = this.#waiting.has(name) || completedAt <= performance.timeOrigin;
    return { id, at: completedAt, repeated };
  }

  #senderOf({ envelope, uid }: Drop, domain: string): string {
    const { sender } = envelope;
    if (sender === '') return '';
    const complete = sender === undefined || sender.includes('@') ? sender : `${sender}@${domain}`;
    if (complete !== undefined && isAddress(complete)) return complete;
    return `${this.#options.userName(uid) ?? `uid-${uid}`}@${domain}`;
  }

  async #bounceAll(known: KnownMail, envelope: Envelope, reply: Reply, drop: Drop): Promise<void> {
    const again = await spool(this.#options.house(), drop);
    try {
      const reports = envelope.recipients.map(
        (recipient): DsnRecipient => ({ recipient, action: 'failed', reply }),
      );
      await this.#bounce(known, envelope, reports, again.source);
    } finally {
      again.release();
    }
  }

  async #bounce(
    known: KnownMail,
    envelope: Envelope,
    recipients: readonly DsnRecipient[],
    source: MessageSource,
  ): Promise<void> {
    const { house, log } = this.#options;
    log.warn('maildrop-bounced', { id: known.id, to: recipients.map(({ recipient }) => recipient.address) });
    if (envelope.sender === '') return;
    const now = house().clock.now();
    const { hostname } = house().config;
    const message = makeDsn({
      reportingMta: hostname,
      arrivedAt: known.at,
      now,
      envelope,
      source,
      recipients,
    });
    const sink = house().openSink();
    await sink.write(message);
    const report = await sink.finish();
    const request = {
      id: `${known.id}/dsn`,
      createdAt: known.at,
      repeated: known.repeated,
      sender: '',
      recipients: [envelope.sender],
      edits: [],
      smtputf8: false,
    };
    const told = await submit(house(), request, report.source, report);
    if (told.outcome === 'retry') throw new OperationalError('maildrop', told.reason, { temporary: true });
  }
}

/** Answers how many recipients were taken; the refused are added to `refused`. */
async function offer(
  session: FlowSession,
  mailFrom: Omit<Envelope, 'recipients'>,
  known: KnownMail,
  recipients: readonly Recipient[],
  refused: DsnRecipient[],
): Promise<number> {
  const unsendable = await refuseTemporarily(session.mailFrom(mailFrom, known));
  if (unsendable) {
    for (const recipient of recipients) refused.push({ recipient, action: 'failed', reply: unsendable });
    return 0;
  }
  let kept = 0;
  for (const recipient of recipients) {
    const { id: _, original: __, ...rcptTo } = recipient;
    const reply = isAddress(recipient.address) ? await refuseTemporarily(session.rcptTo(rcptTo)) : noAddress;
    if (reply) refused.push({ recipient, action: 'failed', reply });
    else kept += 1;
  }
  const late = kept > 0 ? await refuseTemporarily(session.data()) : undefined;
  if (!late) return kept;
  for (const recipient of recipients) {
    if (!refused.some((each) => each.recipient === recipient))
      refused.push({ recipient, action: 'failed', reply: late });
  }
  return 0;
}

/** RFC 3463 X.1.3. */
const noAddress: Reply = { code: 553, enhanced: '5.1.3', text: 'this is no address' };

/** A refusal for good is an answer; one for now ends the attempt. */
async function refuseTemporarily(answer: Promise<Reply | undefined>): Promise<Reply | undefined> {
  const reply = await answer;
  if (reply === undefined || reply.code >= 500) return reply;
  throw new OperationalError('maildrop', reply.text, { temporary: true });
}

async function spool(house: House, drop: Drop): Promise<SpooledMessage> {
  const sink = house.openSink();
  try {
    for await (const chunk of drop.read()) await sink.write(chunk);
    return await sink.finish();
  } catch (error) {
    sink.abort();
    throw error;
  }
}

function recipientOf(written: string, index: number, domain: string, { envelope }: Drop): Recipient {
  const address = written.includes('@') ? written : `${written}@${domain}`;
  return { id: `r${index + 1}`, address, original: address, notify: envelope.notify ?? [] };
}

function localConnection(name: string): Connection {
  return {
    id: `drop-${name}`,
    door: 'pipe',
    listener: '',
    localIp: '',
    localPort: 0,
    remoteIp: '',
    remotePort: 0,
    remoteName: '',
    trusted: true,
    openedAt: Date.now(),
  };
}
