/** Tells whether an address is this very server: where its own listeners listen. RFC 5321 section 5.1. */
import { networkInterfaces } from 'node:os';
import type { ListenerConfig } from '../../core/config/config.ts';
import type { IsOwn } from './hosts.ts';

/** Only listeners that take mail by SMTP count: mail given to any of them would come round again. */
export function ownAddresses(listeners: readonly ListenerConfig[]): IsOwn {
  const taking = listeners.filter(({ protocol }) => protocol === 'smtp' || protocol === 'submission');
  return (ip, port) =>
    taking.some(({ address }) => {
      if (address.kind !== 'tcp' || address.port !== port) return false;
      if (address.host !== '0.0.0.0' && address.host !== '::') return address.host === ip;
      return isOfThisMachine(ip);
    });
}

function isOfThisMachine(ip: string): boolean {
  if (ip.startsWith('127.')) return true;
  return Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === ip));
}
