/** Sending without a server: each message goes to its relay at once, and what cannot go now is kept for `sendmail -q`. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { systemClock as clock } from '../../../core/base/clock.ts';
import { describeError } from '../../../core/base/errors.ts';
import { silentLog } from '../../../core/base/log.ts';
import type { Config } from '../../../core/config/config.ts';
import { splitAddress } from '../../../core/mail/address.ts';
import type { Recipient } from '../../../core/mail/envelope.ts';
import { readHeader } from '../../../core/mail/read-header.ts';
import { render } from '../../../core/mail/render.ts';
import { memorySource } from '../../../core/mail/source.ts';
import { createDns } from '../../../core/net/dns.ts';
import { createSecureDns } from '../../../core/net/dns-secure.ts';
import { completion } from '../../flow/completion.ts';
import { type DropEnvelope, openDrop, writeDrop } from '../../maildrop/drop.ts';
import { createLookup } from '../../outbound/lookup.ts';
import { ownAddresses } from '../../outbound/own-addresses.ts';
import { createOutbound } from '../../outbound/send.ts';
import { createRouter } from '../../router/routes.ts';
import { exitCodes } from '../exit-codes.ts';

interface Outcome {
  readonly address: string;
  readonly outcome: 'delivered' | 'deferred' | 'failed';
  readonly text: string;
}

/** Answers an exit code by sysexits.h; tells what was refused. */
export async function sendDirectly(config: Config, envelope: DropEnvelope, message: Buffer): Promise<number> {
  const outcomes = await attempt(config, envelope, message);
  const failed = outcomes.filter(({ outcome }) => outcome === 'failed');
  for (const { address, text } of failed) process.stderr.write(`sendmail: <${address}>: ${text}\n`);
  const deferred = outcomes.filter(({ outcome }) => outcome === 'deferred');
  if (deferred.length > 0) {
    const recipients = deferred.map(({ address }) => address);
    const kept = await keep(config, { ...envelope, recipients }, message);
    if (!kept) {
      for (const { address, text } of deferred) process.stderr.write(`sendmail: <${address}>: ${text}\n`);
      return exitCodes.tempFail;
    }
  }
  return failed.length > 0 ? exitCodes.unavailable : exitCodes.ok;
}

/** `sendmail -q` of a null client: what was kept is tried once more. */
export async function sendKept(config: Config): Promise<number> {
  const directory = keptDirectory(config);
  let code: number = exitCodes.ok;
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    const drop = await openDrop(path, config.limits.messageBytesMax);
    if (drop === undefined) continue;
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of drop.read()) chunks.push(chunk);
    } finally {
      await drop.close();
    }
    // What is deferred again is kept anew before the old file goes.
    const sent = await sendDirectly(config, drop.envelope, Buffer.concat(chunks));
    if (sent === exitCodes.tempFail) code = sent;
    else rmSync(path);
  }
  return code;
}

async function keep(config: Config, envelope: DropEnvelope, message: Buffer): Promise<boolean> {
  try {
    mkdirSync(keptDirectory(config), { recursive: true, mode: 0o700 });
    await writeDrop(keptDirectory(config), envelope, [message]);
    return true;
  } catch (error) {
    process.stderr.write(`sendmail: ${describeError(error)}\n`);
    return false;
  }
}

function keptDirectory(config: Config): string {
  return join(config.dataDirectory, 'maildrop');
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.drop'))
      .sort();
  } catch (error) {
    // Nothing was ever kept.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function attempt(config: Config, envelope: DropEnvelope, message: Buffer): Promise<Outcome[]> {
  const domain = config.domains[0] ?? config.hostname;
  const complete = (address: string) =>
    address === '' || address.includes('@') ? address : `${address}@${domain}`;
  const sender = complete(envelope.sender ?? userInfo().username);
  const router = createRouter(config.routes);
  const source = memorySource(message);
  const { edits } = completion(readHeader(source), config.hostname, clock.now());
  const rendered = render(source, edits);
  const dns = createDns({ ...config.dns, clock, log: silentLog });
  const secureDns = config.dns.dnssec ? createSecureDns({ ...config.dns, clock }) : undefined;
  const outbound = createOutbound({
    hostname: config.hostname,
    config: config.outbound,
    lookup: createLookup(dns, secureDns),
    findSts: undefined,
    isOwn: ownAddresses(config.listeners),
    log: silentLog,
  });
  const outcomes: Outcome[] = [];
  const groups = new Map<string, { via: string; recipients: Recipient[] }>();
  for (const [index, written] of envelope.recipients.entries()) {
    const address = complete(written);
    const route = router({ recipient: address, sender, authenticated: true });
    if (route.kind !== 'relay') {
      outcomes.push({ address, outcome: 'failed', text: 'no route of the config sends mail there' });
      continue;
    }
    const key = route.via === 'mx' ? `mx ${splitAddress(address).domain}` : route.via;
    const group = groups.get(key) ?? { via: route.via, recipients: [] };
    group.recipients.push({ id: `r${index + 1}`, address, original: address, notify: envelope.notify ?? [] });
    groups.set(key, group);
  }
  const { ret, envid, body = '8bitmime' } = envelope;
  for (const { via, recipients } of groups.values()) {
    const action = config.routes
      .map((route) => route.action)
      .find((each) => each.kind === 'relay' && each.via === via);
    const password = action?.kind === 'relay' ? action.password : undefined;
    const sent = await outbound.send({
      id: 'sendmail',
      via,
      ...(password === undefined ? {} : { password }),
      sender,
      recipients,
      envelope: { body, smtputf8: true, requireTls: false, ...(ret && { ret }), ...(envid && { envid }) },
      rendered,
    });
    for (const [index, { outcome, reply }] of sent.recipients.entries()) {
      const text = `${reply.code} ${reply.enhanced ?? ''} ${reply.text}`.replace(/ +/g, ' ');
      outcomes.push({ address: recipients[index]!.address, outcome, text });
    }
  }
  await outbound.close();
  return outcomes;
}
