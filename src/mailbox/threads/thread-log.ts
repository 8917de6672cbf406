/** The log of a thread: lines go to the main thread's, as pushes. */
import type { MessagePort } from 'node:worker_threads';
import { type Log, type LogFacts, type LogLevel, silentLog } from '../../../core/base/log.ts';

export interface LogPush {
  readonly kind: 'log';
  readonly level: LogLevel;
  readonly event: string;
  readonly facts: LogFacts | undefined;
}

/** Debug and trace lines stay unsaid. */
export function logToMain(port: MessagePort): Log {
  const line = (level: LogLevel) => (event: string, facts?: LogFacts) =>
    port.postMessage({ push: { kind: 'log', level, event, facts } satisfies LogPush });
  return {
    ...silentLog,
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    enabled: (level) => level !== 'debug' && level !== 'trace',
  };
}
