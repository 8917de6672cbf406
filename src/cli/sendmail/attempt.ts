/** One try of a null client: each recipient by its route, in this process. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { systemClock as clock } from '../../../core/base/clock.ts';
import { silentLog } from '../../../core/base/log.ts';
import type { Config } from '../../../core/config/config.ts';
import { splitAddress } from '../../../core/mail/address.ts';
import type { Recipient } from '../../../core/mail/envelope.ts';
import { readHeader } from '../../../core/mail/read-header.ts';
import { type Rendered, render } from '../../../core/mail/render.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import { memorySource } from '../../../core/mail/source.ts';
import { createDns } from '../../../core/net/dns.ts';
import { createSecureDns } from '../../../core/net/dns-secure.ts';
import { formatReply } from '../../../core/net/smtp-reply.ts';
import { openMemoryState } from '../../../core/state/memory.ts';
import type { StateStore } from '../../../core/state/store.ts';
import { completion } from '../../flow/completion.ts';
import type { DropEnvelope } from '../../maildrop/drop.ts';
import { createLookup } from '../../outbound/lookup.ts';
import { createMtaSts } from '../../outbound/mta-sts.ts';
import type { Outbound } from '../../outbound/outbound.ts';
import { ownAddresses } from '../../outbound/own-addresses.ts';
import { createOutbound } from '../../outbound/send.ts';
import { createRouter } from '../../router/routes.ts';
import { printable } from '../printable.ts';

export interface Outcome {
  readonly address: string;
  readonly outcome: 'delivered' | 'deferred' | 'failed';
  readonly reply: Reply;
  readonly remoteMta?: string;
}

/** One try for each recipient. @param envelope completed */
export async function attempt(
  config: Config,
  { sender = '', recipients, notify = [], ret, envid, body = '8bitmime' }: DropEnvelope,
  message: Buffer,
): Promise<Outcome[]> {
  const source = memorySource(message);
  const { edits } = completion(readHeader(source), config.hostname, clock.now());
  const rendered: Rendered = render(source, edits);
  const { groups, unroutable } = byRoute(config, sender, recipients, notify);
  const outcomes: Outcome[] = unroutable.map((address) => ({ address, outcome: 'failed', reply: noRoute }));
  const state = openMemoryState({ clock, log: silentLog });
  const outbound = openOutbound(config, state);
  for (const { via, password, recipients: group } of groups) {
    const sent = await outbound.send({
      id: 'sendmail',
      via,
      ...(password === undefined ? {} : { password }),
      sender,
      recipients: group,
      envelope: { body, smtputf8: true, requireTls: false, ...(ret && { ret }), ...(envid && { envid }) },
      rendered,
    });
    for (const [index, { outcome, reply, remoteMta }] of sent.recipients.entries()) {
      const { address } = group[index]!;
      outcomes.push({ address, outcome, reply, ...(remoteMta === undefined ? {} : { remoteMta }) });
    }
  }
  await outbound.close();
  await state.close();
  return outcomes;
}

export function tell(outcomes: readonly Outcome[]): void {
  for (const { address, reply } of outcomes)
    process.stderr.write(`${printable(`sendmail: <${address}>: ${formatReply(reply)}`)}\n`);
}

/** RFC 3463 X.4.4: unable to route. */
const noRoute: Reply = { code: 550, enhanced: '5.4.4', text: 'no route of the config sends mail there' };

interface Group {
  readonly via: string;
  readonly password?: string;
  readonly recipients: Recipient[];
}

/** Those that go together: to one relay, or to one domain. */
function byRoute(
  { routes }: Config,
  sender: string,
  recipients: readonly string[],
  notify: Recipient['notify'],
): { groups: Group[]; unroutable: string[] } {
  const router = createRouter(routes);
  const unroutable: string[] = [];
  const groups = new Map<string, Group>();
  for (const [index, address] of recipients.entries()) {
    const route = router({ recipient: address, sender, authenticated: true });
    if (route.kind !== 'relay') {
      unroutable.push(address);
      continue;
    }
    const { via } = route;
    const key = via === 'mx' ? `mx ${splitAddress(address).domain}` : via;
    const group = groups.get(key) ?? { via, ...passwordFor(routes, via), recipients: [] };
    group.recipients.push({ id: `r${index + 1}`, address, original: address, notify });
    groups.set(key, group);
  }
  return { groups: [...groups.values()], unroutable };
}

function passwordFor(routes: Config['routes'], via: string): Pick<Group, 'password'> {
  const action = routes
    .map((route) => route.action)
    .find((each) => each.kind === 'relay' && each.via === via);
  return action?.kind === 'relay' && action.password !== undefined ? { password: action.password } : {};
}

/** With all that a server asks of the hosts it sends to; nothing is remembered of them beyond this run. */
function openOutbound(config: Config, state: StateStore): Outbound {
  const { outbound } = config;
  const dns = createDns({ ...config.dns, clock, log: silentLog });
  const secureDns = config.dns.dnssec ? createSecureDns({ ...config.dns, clock }) : undefined;
  return createOutbound({
    hostname: config.hostname,
    config: outbound,
    lookup: createLookup(dns, secureDns),
    findSts: outbound.mtaSts
      ? createMtaSts({
          dns,
          state: state.forPlugin('outbound'),
          clock,
          log: silentLog,
          port: outbound.mtaStsPort,
          ...(outbound.caFile && { ca: [...rootCertificates, readFileSync(outbound.caFile, 'utf8')] }),
        })
      : undefined,
    isOwn: ownAddresses(config.listeners),
    log: silentLog,
  });
}
