/** A role's life after its start: reload on SIGHUP, drain on SIGTERM, and what it tells of its listeners. */
import { describeError } from '../core/base/errors.ts';
import { drainLimits } from '../core/base/limits/process.ts';
import type { RootLog } from '../core/base/log.ts';
import type { ListenAddress, ListenerConfig } from '../core/config/config.ts';
import { formatListenAddress } from '../core/config/listen-address.ts';
import type { ListenerFacts } from './supervisor.ts';

export interface Life {
  readonly log: RootLog;
  reload(): Promise<void>;
  /** Hears how a reload ended. */
  reloaded(error: string | undefined): void;
  drain(): Promise<void>;
}

export function onSignals({ log, reload, reloaded, drain }: Life): void {
  let busy: Promise<void> = Promise.resolve();
  let draining = false;
  process.on('SIGHUP', () => {
    // One after the other: the last config on disk is the one that holds in the end.
    busy = busy.then(async () => {
      try {
        await reload();
        log.info('reloaded');
        reloaded(undefined);
      } catch (error) {
        log.error('reload-failed', { error: describeError(error) });
        reloaded(describeError(error));
      }
    });
  });
  // The log reopens its file by itself; without any handler Node would open its debugger to this machine.
  process.on('SIGUSR1', () => {});
  const end = () => {
    if (draining) return;
    draining = true;
    log.info('draining');
    setTimeout(() => {
      log.error('drain-late');
      log.close();
      process.exit(70);
    }, drainLimits.wholeMs).unref();
    busy
      .then(drain)
      .catch((error) => {
        log.error('drain-failed', { error: describeError(error) });
        process.exitCode = 70;
      })
      .finally(() => {
        log.info('ended');
        log.close();
        process.exit();
      });
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

/** A listener as it was opened. */
export interface OpenListener {
  readonly listener: ListenerConfig;
  readonly address: ListenAddress;
}

/** For the people who started it. */
export function describeListener({ listener, address }: OpenListener): string {
  const tls = { none: '', starttls: ', STARTTLS', implicit: ', TLS' }[listener.tls];
  return `${listener.name}: ${listener.protocol} on ${formatListenAddress(address)}${tls}`;
}

/** For tests and tools: where each listener really is, when the config said port 0. */
export function listenerFacts({ listener, address }: OpenListener): ListenerFacts {
  const { name, protocol } = listener;
  return { name, protocol, ...(address.kind === 'tcp' ? address : { path: address.path }) };
}
