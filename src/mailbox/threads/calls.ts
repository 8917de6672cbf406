/** Calls from one thread to another over a port, typed by the functions that answer: what they throw comes back thrown. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { describeError, errnoOf } from '../../../core/base/errors.ts';
import { MailboxError, type MailboxErrorCode } from '../mailbox-error.ts';

export type Handlers = Readonly<Record<string, (...values: never[]) => unknown>>;

interface Request {
  readonly id: number;
  readonly method: string;
  readonly values: readonly unknown[];
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ThrownText };

interface ThrownText {
  /** Undefined for a bug. */
  readonly responseCode: MailboxErrorCode | undefined;
  readonly text: string;
  readonly stack: string;
}

type Port = Pick<MessagePort | Worker, 'postMessage' | 'on' | 'ref' | 'unref'>;

/** Values whose buffers go over without a copy. */
export class Transfer<T> {
  readonly value: T;
  readonly buffers: readonly ArrayBuffer[];

  constructor(value: T, buffers: readonly ArrayBuffer[]) {
    this.value = value;
    this.buffers = buffers;
  }
}

type Answered<T> = Awaited<T> extends Transfer<infer V> ? V : Awaited<T>;

export class Caller<H extends Handlers, Push> {
  readonly #port: Port;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  #next = 0;
  #ended: MailboxError | undefined;

  /** @param pushed hears what the other side tells unasked, in order with the answers */
  constructor(port: Port, pushed: (push: Push) => void) {
    this.#port = port;
    port.on('message', (message: Answer | { readonly push: Push }) => {
      if ('push' in message) pushed(message.push);
      else this.#settle(message);
    });
    port.unref();
  }

  call<K extends keyof H & string>(
    method: K,
    values: Parameters<H[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Answered<ReturnType<H[K]>>> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    // Only who waits for an answer keeps the process alive.
    if (this.#waiting.size === 0) this.#port.ref();
    const { promise, resolve, reject } = Promise.withResolvers<Answered<ReturnType<H[K]>>>();
    this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
    this.#port.postMessage({ id, method, values } satisfies Request, transfer as ArrayBuffer[]);
    return promise;
  }

  /** The other side is gone: who waits, and who asks from now on, hears so. */
  end(): void {
    this.#ended = new MailboxError('UNAVAILABLE', 'mailboxes are not available now');
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#port.unref();
    if ('value' in answer) waiting?.resolve(answer.value);
    else waiting?.reject(thrown(answer.error));
  }
}

/** Answers the calls that come over a port, many at the same time. */
export function answerCalls(port: Port, handlers: Handlers): void {
  const call = async ({ method, values }: Request) => {
    const handler = handlers[method] as ((...values: readonly unknown[]) => unknown) | undefined;
    if (!handler) throw new Error(`no handler ${method}`);
    return handler(...values);
  };
  port.on('message', (request: Request) => {
    const { id } = request;
    call(request).then(
      (value) => {
        if (value instanceof Transfer)
          port.postMessage({ id, value: value.value }, value.buffers as ArrayBuffer[]);
        else port.postMessage({ id, value });
      },
      (error: unknown) => port.postMessage({ id, error: textOf(error) }),
    );
  });
}

function textOf(error: unknown): ThrownText {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  if (error instanceof MailboxError) return { responseCode: error.responseCode, text: error.message, stack };
  // A failing disk is expected; anything else is not.
  const responseCode = errnoOf(error) === undefined ? undefined : 'UNAVAILABLE';
  return { responseCode, text: describeError(error), stack };
}

function thrown({ responseCode, text, stack }: ThrownText): Error {
  if (responseCode === 'UNAVAILABLE')
    return new MailboxError('UNAVAILABLE', 'the mailbox cannot be read or written now', { reason: text });
  if (responseCode !== undefined) return new MailboxError(responseCode, text);
  const error = new Error(text);
  error.stack = stack;
  return error;
}
