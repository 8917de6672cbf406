/** A flow for door tests: it records what the door asks, keeps each message as it came, and answers as the test says. */
import { pbkdf2Sync } from 'node:crypto';
import { OperationalError } from '../../core/base/errors.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { type ScramHash, type ScramKeys, scramKeysOf } from '../../core/net/scram.ts';
import type { Connection, TlsInfo } from '../../core/session/connection.ts';
import type {
  Answer,
  FlowSession,
  MailFrom,
  MessageSink,
  OpenSession,
  RcptTo,
  SpooledMessage,
} from '../../src/flow/session.ts';

export interface FakeMessage {
  readonly connection: Connection;
  readonly mailFrom: MailFrom;
  readonly rcptTo: readonly RcptTo[];
  readonly helo: string;
  readonly user: string | undefined;
  readonly tls: TlsInfo | undefined;
  readonly bytes: Buffer;
  readonly binary: boolean;
}

/** What a test may say instead of "go on". Functions may take their time. */
export interface FakeAnswers {
  open?(): void;
  secured?(): void;
  abort?(): void;
  connect?(connection: Connection): Answer | Promise<Answer>;
  helo?(name: string): Answer | Promise<Answer>;
  mailFrom?(mailFrom: MailFrom): Answer | Promise<Answer>;
  rcptTo?(rcptTo: RcptTo): Answer | Promise<Answer>;
  data?(): Answer | Promise<Answer>;
  message?(message: FakeMessage): readonly Reply[] | undefined | Promise<readonly Reply[] | undefined>;
  /** Called for each write of a sink; a promise holds the next one back. */
  write?(chunk: Uint8Array): void | Promise<void>;
  openMessage?(): void;
  finish?(): void | Promise<void>;
}

export class FakeFlow {
  readonly messages: FakeMessage[] = [];
  /** One word per question, in order: `connect`, `mailFrom a@b.test`, `close quit` ... */
  readonly events: string[] = [];
  /** Sinks that are neither finished nor aborted. */
  openSinks = 0;
  users = new Map([['alice@example.test', 'secret']]);
  scramHashes: ScramHash[] = [];
  /** False keeps no bytes and no events, for measurements. */
  recording = true;
  readonly answers: FakeAnswers;

  constructor(answers: FakeAnswers = {}) {
    this.answers = answers;
  }

  readonly open: OpenSession = (connection) => {
    this.answers.open?.();
    return new FakeSession(this, connection);
  };

  record(event: string): void {
    if (this.recording) this.events.push(event);
  }
}

class FakeSession implements FlowSession {
  readonly connection: Connection;
  readonly #flow: FakeFlow;
  #helo = '';
  #user: string | undefined;
  #tls: TlsInfo | undefined;
  #mailFrom: MailFrom | undefined;
  #rcptTo: RcptTo[] = [];
  #sink: FakeSink | undefined;

  constructor(flow: FakeFlow, connection: Connection) {
    this.#flow = flow;
    this.connection = connection;
  }

  async connect(): Promise<Answer> {
    this.#flow.record('connect');
    return this.#flow.answers.connect?.(this.connection);
  }

  talkedEarly(before: 'greeting' | 'command'): void {
    this.#flow.record(`talkedEarly ${before}`);
  }

  async helo(name: string): Promise<Answer> {
    this.#flow.record(`helo ${name}`);
    this.#helo = name;
    return this.#flow.answers.helo?.(name);
  }

  secured(tls: TlsInfo): void {
    this.#flow.record(`secured ${tls.protocol}`);
    this.#flow.answers.secured?.();
    this.#tls = tls;
  }

  async authenticate(method: string, address: string, password: string) {
    this.#flow.record(`authenticate ${method} ${address}`);
    if (this.#flow.users.get(address) !== password) {
      return { refused: { code: 535, enhanced: '5.7.8', text: 'Authentication credentials invalid' } };
    }
    this.#user = address;
    return { user: address };
  }

  readonly scram = {
    hashes: () => this.#flow.scramHashes,
    candidate: (address: string, hash: ScramHash) => ({
      keys: scramKeys(hash, this.#flow.users.get(address) ?? ''),
      conclude: async (method: string, proven: boolean) => {
        this.#flow.record(`scram ${method} ${address} ${proven}`);
        if (!proven || !this.#flow.users.has(address)) {
          return { refused: { code: 535, enhanced: '5.7.8', text: 'Authentication credentials invalid' } };
        }
        this.#user = address;
        return { user: address };
      },
    }),
  };

  async assume(user: string) {
    this.#flow.record(`assume ${user}`);
    this.#user = user;
    return { user };
  }

  async mailFrom(mailFrom: MailFrom): Promise<Answer> {
    this.#flow.record(`mailFrom ${mailFrom.sender}`);
    const answer = await this.#flow.answers.mailFrom?.(mailFrom);
    if (answer === undefined) this.#mailFrom = mailFrom;
    return answer;
  }

  async rcptTo(rcptTo: RcptTo): Promise<Answer> {
    this.#flow.record(`rcptTo ${rcptTo.address}`);
    const answer = await this.#flow.answers.rcptTo?.(rcptTo);
    if (answer === undefined) this.#rcptTo.push(rcptTo);
    return answer;
  }

  async data(): Promise<Answer> {
    this.#flow.record('data');
    return this.#flow.answers.data?.();
  }

  openMessage(): MessageSink {
    this.#flow.answers.openMessage?.();
    this.#sink = new FakeSink(this.#flow);
    return this.#sink;
  }

  async message(spooled: SpooledMessage): Promise<readonly Reply[]> {
    const rcptTo = this.#rcptTo;
    const message: FakeMessage = {
      connection: this.connection,
      mailFrom: this.#mailFrom!,
      rcptTo,
      helo: this.#helo,
      user: this.#user,
      tls: this.#tls,
      bytes: this.#sink!.bytes(),
      binary: spooled.binary === true,
    };
    this.#forget();
    this.#flow.record(`message ${message.bytes.length}`);
    if (this.#flow.recording) this.#flow.messages.push(message);
    const answers = await this.#flow.answers.message?.(message);
    spooled.release();
    const accepted: Reply = { code: 250, enhanced: '2.0.0', text: 'accepted' };
    return answers ?? (this.connection.door === 'lmtp' ? rcptTo.map(() => accepted) : [accepted]);
  }

  reset(): void {
    this.#flow.record('reset');
    this.#forget();
  }

  async close(reason: string): Promise<void> {
    this.#flow.record(`close ${reason}`);
  }

  #forget(): void {
    this.#mailFrom = undefined;
    this.#rcptTo = [];
  }
}

class FakeSink implements MessageSink {
  readonly #flow: FakeFlow;
  readonly #chunks: Buffer[] = [];
  length = 0;
  #over = false;
  #waiting = false;

  constructor(flow: FakeFlow) {
    this.#flow = flow;
    flow.openSinks += 1;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.#over) throw new Error('write to a sink that is over');
    if (this.#waiting) throw new Error('write before the last one was done');
    this.length += chunk.length;
    if (this.#flow.recording) this.#chunks.push(Buffer.from(chunk));
    const wait = this.#flow.answers.write?.(chunk);
    if (wait === undefined) return;
    this.#waiting = true;
    return wait.finally(() => {
      this.#waiting = false;
    });
  }

  async finish(): Promise<SpooledMessage> {
    this.#end();
    await this.#flow.answers.finish?.();
    let released = false;
    return {
      source: { kind: 'memory', buffer: new SharedArrayBuffer(0), offset: 0, length: this.length },
      crc32: 0,
      release: () => {
        if (released) throw new Error('released twice');
        released = true;
      },
    };
  }

  abort(): void {
    this.#end();
    this.#flow.record('abort');
    this.#flow.answers.abort?.();
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  #end(): void {
    if (this.#over) throw new Error('sink is over twice');
    this.#over = true;
    this.#flow.openSinks -= 1;
  }
}

/** What a spool says when the disk is full. */
export function diskFull(): OperationalError {
  const cause = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  return new OperationalError('spool-full', 'cannot write the spool', { temporary: true, cause });
}

function scramKeys(hash: ScramHash, password: string): ScramKeys {
  const [octets, name] = hash === 'SHA-1' ? ([20, 'sha1'] as const) : ([32, 'sha256'] as const);
  const salt = Buffer.from('a salt of a test');
  return scramKeysOf(hash, pbkdf2Sync(password, salt, 4096, octets, name), salt, 4096);
}
