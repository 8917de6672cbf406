/** What of a config a running server cannot take over: a reload that changes any of it is refused whole. */
import { isDeepStrictEqual } from 'node:util';
import { OperationalError } from '../core/base/errors.ts';
import type { Config, ListenerConfig } from '../core/config/config.ts';

/** What is opened once, at the start; each by the key that an operator writes. */
const fixed: Readonly<Record<string, (config: Config) => unknown>> = {
  dataDirectory: (config) => config.dataDirectory,
  user: (config) => config.user,
  'users.file': (config) => config.users?.file,
  'mailbox.format': (config) => config.mailbox.format,
  'mailbox.subaddressSeparator': (config) => config.mailbox.subaddressSeparator,
  queue: (config) => config.queue,
  outbound: (config) => config.outbound,
  durability: (config) => config.durability,
  journal: (config) => config.journal,
  dns: (config) => config.dns,
  // Other certificates are taken over; a server that has none, or is to have none, opened other doors.
  tls: (config) => config.tls !== undefined,
  'limits.memoryMessageBytesMax': (config) => config.limits.memoryMessageBytesMax,
  'limits.memoryTotalBytesMax': (config) => config.limits.memoryTotalBytesMax,
  'processes.access': (config) => config.processes.access,
  state: (config) => config.state,
  trace: (config) => config.trace,
  'log.file': (config) => config.log.file,
};

const fixedInListener = ['protocol', 'address', 'tls', 'next'] as const;

/** @throws OperationalError `restart-needed` that names the keys. @param running the config of the start */
export function assertReloadable(running: Config, next: Config): void {
  const keys = [
    ...changedListeners(running.listeners, next.listeners),
    ...Object.entries(fixed)
      .filter(([, read]) => !isDeepStrictEqual(read(running), read(next)))
      .map(([key]) => key),
  ];
  if (keys.length === 0) return;
  throw new OperationalError('restart-needed', `restart needed for: ${keys.join(', ')}`, {
    temporary: false,
    facts: { keys },
  });
}

function changedListeners(running: readonly ListenerConfig[], next: readonly ListenerConfig[]): string[] {
  const before = new Map(running.map((listener) => [listener.name, listener]));
  const after = new Map(next.map((listener) => [listener.name, listener]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    if (was === undefined || is === undefined) return [`listeners.${name}`];
    return fixedInListener
      .filter((key) => !isDeepStrictEqual(was[key], is[key]))
      .map((key) => `listeners.${name}.${key}`);
  });
}
