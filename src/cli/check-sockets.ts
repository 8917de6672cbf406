/** The sockets of a config: whether each could be bound now, or is held by our own running server, and whom it lets in. */
import { createServer } from 'node:net';
import { describeError } from '../../core/base/errors.ts';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import { formatListenAddress, sameSocket } from '../../core/config/listen-address.ts';
import { isOnLoopback } from '../privileges.ts';
import { listen } from '../sockets/listen.ts';
import type { Finding } from './check.ts';
import { runningListeners, runningServer } from './running-server.ts';

export async function checkSockets(config: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const listener of config.listeners) {
    findings.push(await checkSocket(listener, config), ...checkReach(listener));
  }
  return findings;
}

/** What doors that know no password do for everybody who reaches them. */
const unguarded: Readonly<Partial<Record<ListenerConfig['protocol'], string>>> = {
  'content-filter': 'hands on what anybody who reaches it sends, to any address: an open relay',
  'proxy-filter': 'hands on what anybody who reaches it sends, to any address: an open relay',
  lmtp: 'delivers what anybody who reaches it sends, past the checks of SMTP',
  milter: 'works for anybody who reaches it',
};

function checkReach({ name, protocol, address }: ListenerConfig): Finding[] {
  const does = unguarded[protocol];
  if (does === undefined || isOnLoopback(address)) return [];
  const where = `${name} ${formatListenAddress(address)}`;
  const what = `${does}; listen on loopback or on a unix socket, or let a firewall pass only the MTA`;
  return [{ severity: 'warning', area: 'socket', where, what }];
}

async function checkSocket(listener: ListenerConfig, config: Config): Promise<Finding> {
  const area = 'socket';
  const where = `${listener.name} ${formatListenAddress(listener.address)}`;
  const pid = runningServer(config);
  if (pid !== undefined && heldByServer(listener, config)) {
    return { severity: 'ok', area, where, what: `the running server (process ${pid}) listens there` };
  }
  const server = createServer();
  try {
    await listen(server, listener);
    return { severity: 'ok', area, where, what: 'is free' };
  } catch (error) {
    return { severity: 'error', area, where, what: describeError(error) };
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function heldByServer({ name, address }: ListenerConfig, config: Config): boolean {
  return runningListeners(config).some((held) => {
    if (address.kind === 'unix') return held.path === address.path;
    if (address.port === 0) return held.name === name;
    const bound = { kind: 'tcp', host: held.host ?? '', port: held.port ?? 0 } as const;
    return held.port !== undefined && sameSocket(bound, address);
  });
}
