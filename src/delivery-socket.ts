/** The socket at which a server takes mail for its users from `mailfilter deliver` on the same machine: LMTP, for who is in its group. */
import { join } from 'node:path';
import type { Config, ListenerConfig } from '../core/config/config.ts';

/** sun_path of unix(7) holds 108 octets with its end. */
const socketPathBytesMax = 107;

export function deliverySocket(dataDirectory: string): string {
  return join(dataDirectory, 'run', 'deliver.sock');
}

/**
 * The config with that socket among its listeners, where there are users to deliver to.
 * @param owner whom the server becomes, when root opens the socket
 */
export function withDeliverySocket(config: Config, owner: string | undefined): Config {
  const path = deliverySocket(config.dataDirectory);
  // A longer path cannot be bound; deliver then says that no server takes mail there.
  if (config.users === undefined || Buffer.byteLength(path) > socketPathBytesMax) return config;
  const names = Object.keys(config.pipelines);
  const pipeline = names.includes('inbound') ? 'inbound' : names.length === 1 ? names[0] : undefined;
  const listener: ListenerConfig = {
    name: 'deliver',
    protocol: 'lmtp',
    address: { kind: 'unix', path, mode: 0o660, ...(owner === undefined ? {} : { owner }) },
    tls: 'none',
    auth: false,
    authWithoutTls: false,
    earlyTalkerDelayMs: 0,
    ...{ futureReleaseSecondsMax: 0, deliverBy: false, priorities: false },
    ...(pipeline === undefined ? {} : { pipeline }),
  };
  return { ...config, listeners: [...config.listeners.filter(({ name }) => name !== 'deliver'), listener] };
}
