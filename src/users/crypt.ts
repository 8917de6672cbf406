/** Verifies hashes that exist only in JavaScript, in a thread of their own: 20 to 100 ms each would hold up all mail. */
import { Worker } from 'node:worker_threads';
import { OperationalError } from '../../core/base/errors.ts';

export type CryptKind = 'sha-crypt' | 'bcrypt';

export interface CryptQuestion {
  readonly id: number;
  readonly kind: CryptKind;
  readonly password: string;
  readonly hash: string;
}
export interface CryptAnswer {
  readonly id: number;
  /** Undefined when the check itself failed. */
  readonly right?: boolean;
  readonly error?: string;
}

interface Waiting {
  resolve(right: boolean): void;
  reject(error: Error): void;
}

let worker: Worker | undefined;
let questions = 0;
const waiting = new Map<number, Waiting>();

/** True when right. Rejects with an OperationalError when the check could not be made: that is never a "right". */
export function verifyCrypt(kind: CryptKind, password: string, hash: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const id = ++questions;
    waiting.set(id, { resolve, reject });
    worker ??= startWorker();
    const thread = worker;
    // Only a thread with work to do keeps the process alive.
    thread.ref();
    thread.postMessage({ id, kind, password, hash } satisfies CryptQuestion);
  });
}

function startWorker(): Worker {
  // The worker lies beside this file, as source or built.
  const script = new URL(
    import.meta.url.endsWith('.ts') ? './crypt-worker.ts' : './crypt-worker.js',
    import.meta.url,
  );
  const thread = new Worker(script, { name: 'password' });
  thread.on('message', (answer: CryptAnswer) => {
    const one = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (waiting.size === 0) thread.unref();
    if (answer.right === undefined) one?.reject(checkFailed(answer.error ?? 'no answer'));
    else one?.resolve(answer.right);
  });
  thread.on('error', (error: Error) => lost(thread, error.message));
  thread.on('exit', (code) => lost(thread, `thread ended with ${code}`));
  thread.unref();
  return thread;
}

function lost(thread: Worker, reason: string): void {
  if (worker !== thread) return;
  worker = undefined;
  for (const one of waiting.values()) one.reject(checkFailed(reason));
  waiting.clear();
}

function checkFailed(reason: string): OperationalError {
  return new OperationalError('password-check-failed', `cannot check the password: ${reason}`, {
    temporary: true,
  });
}
