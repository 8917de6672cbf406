/**
 * The door behind OpenSMTPD's filter protocol, on a pair of streams: smtpd starts us, asks on our standard input and
 * reads our answers. smtpd-filters(7). Sessions do not wait for one another; within one everything goes in order.
 */
import { once } from 'node:events';
import { isIP } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { systemClock } from '../../core/base/clock.ts';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { openSmtpdLimits } from '../../core/base/limits/doors.ts';
import type { Log } from '../../core/base/log.ts';
import { LineSplitter } from '../../core/mail/line-splitter.ts';
import { type IpMatcher, plainIp } from '../../core/net/ip.ts';
import type { Connection } from '../../core/session/connection.ts';
import type { OpenSession } from '../flow/session.ts';
import { type FilterEvent, parseEvent, registration } from './opensmtpd/lines.ts';
import { FilterSession } from './opensmtpd/session.ts';

export interface OpenSmtpdDoorOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly openSession: OpenSession;
  /** Clients that the operator trusts. */
  readonly trusted: IpMatcher;
  readonly log: Log;
}

/** Resolves when smtpd has closed our input and every question was answered. @throws OperationalError `opensmtpd-protocol` */
export async function serveOpenSmtpd({
  input,
  output,
  openSession,
  trusted,
  log,
}: OpenSmtpdDoorOptions): Promise<void> {
  const write = (text: string): void | Promise<void> => {
    if (output.write(text, 'latin1')) return;
    return once(output, 'drain').then(() => undefined);
  };
  const sessions = new Sessions(openSession, trusted, write, log);
  const lines = new LineSplitter();
  let ready = false;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    for (const bytes of lines.split(chunk)) {
      const line = bytes.toString('latin1');
      if (ready) await sessions.take(line);
      else if (line === 'config|ready') {
        ready = true;
        await write(registration());
      }
    }
    if (lines.heldBytes > openSmtpdLimits.lineBytesMax) {
      throw new OperationalError('opensmtpd-protocol', 'smtpd sends a line without end', {
        temporary: false,
      });
    }
  }
  await sessions.end();
}

interface Live {
  readonly session: FilterSession;
  /** Ends when all that came so far was answered. */
  work: Promise<void>;
}

class Sessions {
  readonly #openSession: OpenSession;
  readonly #trusted: IpMatcher;
  readonly #write: (text: string) => void | Promise<void>;
  readonly #log: Log;
  readonly #live = new Map<string, Live>();
  readonly #ending = new Set<Promise<void>>();
  #waitingBytes = 0;
  #room = Promise.withResolvers<void>();

  constructor(
    openSession: OpenSession,
    trusted: IpMatcher,
    write: (text: string) => void | Promise<void>,
    log: Log,
  ) {
    this.#openSession = openSession;
    this.#trusted = trusted;
    this.#write = write;
    this.#log = log;
  }

  /** Resolves when there is room for the next line. */
  async take(line: string): Promise<void> {
    const event = parseEvent(line);
    if (event === undefined) return;
    if (event.phase === 'link-disconnect') {
      this.#close(event.session);
      return;
    }
    const live = this.#live.get(event.session) ?? this.#open(event);
    if (live === undefined) return;
    this.#waitingBytes += line.length;
    live.work = live.work
      .then(() => live.session.take(event))
      .catch((error: unknown) => this.#log.error('opensmtpd-bug', { error: describeError(error) }))
      .finally(() => this.#done(line.length));
    while (this.#waitingBytes > openSmtpdLimits.waitingBytesMax) await this.#room.promise;
  }

  async end(): Promise<void> {
    for (const session of [...this.#live.keys()]) this.#close(session);
    await Promise.all(this.#ending);
  }

  #done(bytes: number): void {
    this.#waitingBytes -= bytes;
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  /** A session begins with a question; a report may come after its end. */
  #open(event: FilterEvent): Live | undefined {
    if (event.kind !== 'filter') return undefined;
    const session = new FilterSession({
      connection: connectionOf(event, this.#trusted),
      openSession: this.#openSession,
      write: this.#write,
      log: this.#log,
    });
    const live = { session, work: Promise.resolve() };
    this.#live.set(event.session, live);
    return live;
  }

  #close(id: string): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    this.#live.delete(id);
    const ending = live.work
      .then(() => live.session.close())
      .catch((error: unknown) => this.#log.error('opensmtpd-bug', { error: describeError(error) }))
      .finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

/** `rdns|fcrdns|src|dest` of the connect phase. */
function connectionOf({ session, phase, text }: FilterEvent, trusted: IpMatcher): Connection {
  const [name = '', verified = '', from = '', to = ''] = phase === 'connect' ? text.split('|') : [];
  const [remote, local] = [endpoint(from), endpoint(to)];
  return {
    id: session,
    door: 'opensmtpd-filter',
    listener: 'opensmtpd-filter',
    localIp: local.ip,
    localPort: local.port,
    remoteIp: remote.ip,
    remotePort: remote.port,
    remoteName: verified === 'pass' && !/[<>]/.test(name) ? name.toLowerCase() : '',
    trusted: trusted.matches(remote.ip),
    openedAt: systemClock.now(),
  };
}

/** `192.0.2.1:25`, `[2001:db8::1]:25`, or the path of a unix socket for mail from this machine. */
function endpoint(text: string): { ip: string; port: number } {
  const [, v6, v4, port] = /^(?:\[(?:IPv6:)?([^\]]+)\]|([^:]+))(?::(\d+))?$/i.exec(text) ?? [];
  const ip = v6 ?? v4 ?? '';
  return isIP(ip) === 0 ? { ip: '', port: 0 } : { ip: plainIp(ip), port: Number(port ?? 0) };
}
