/** What a script may ask about one delivery, from the hook's input and context. */
import type { DeliverInput, HookContext } from 'mailfilter/plugin';
import type { Environment, SieveEnvelope } from '../../rules/sieve/index.ts';
import type { ProgramLimits, SitePrograms } from '../../rules/site-programs.ts';
import type { SieveOptions } from './options.ts';
import { seenBefore } from './seen.ts';
import type { SiteScripts } from './site-scripts.ts';
import { spamPercent, virusLevel } from './verdicts.ts';

type Context = HookContext<SieveOptions>;

/** Of one delivery. */
export function environmentOf(
  input: DeliverInput,
  context: Context,
  site: SiteScripts,
  programs: SitePrograms,
): Environment {
  const { envelope, recipient, options } = { ...input, ...context };
  const whose = {
    user: input.user,
    addresses: input.addresses,
    id: input.id,
    octets: input.message.length,
    sender: envelope.sender,
    recipient: recipient.address,
  };
  return {
    ...commonEnvironment(whose, context, site, programs),
    envelope: envelopeOf(input, context.clock.now()),
    item: (name) => configItem(name, context) ?? items[name]?.(input, context),
    spamPercent: () => spamPercent(input, options.spamScoreMax),
    virusLevel: () => virusLevel(input),
  };
}

/** Whose script runs, over what. */
export interface Whose {
  readonly user: string;
  readonly addresses: readonly string[];
  /** Of the transaction. */
  readonly id: string;
  /** Of the message. */
  readonly octets: number;
  readonly sender: string;
  readonly recipient: string;
}

/** What scripts may ask whatever made them run. */
export function commonEnvironment(
  whose: Whose,
  context: Context,
  site: SiteScripts,
  programs: SitePrograms,
): Omit<Environment, 'envelope'> {
  const { clock, mailboxes, scripts, options } = context;
  const folder = (name: string) => folderName(name, options.folderSeparator);
  return {
    now: clock.now(),
    zoneMinutes: (epochMs) => -new Date(epochMs).getTimezoneOffset(),
    settings: settingsOf(whose, context),
    mailboxExists: (name) => mailboxes.exists(folder(name)).catch(asMissing),
    mailboxIdExists: async (id) => (await mailboxes.withId(id)) !== undefined,
    specialUseExists: async (attribute, name) => {
      const found = await mailboxes.specialUse(attribute);
      return name === undefined ? found.length > 0 : found.includes(folder(name));
    },
    metadata: (name, annotation) => mailboxes.metadata(folder(name), annotation),
    serverMetadata: (annotation) => mailboxes.metadata('', annotation),
    duplicateSeen: (key) => seenBefore('duplicate', key, whose, context),
    vacationSeen: (key) => seenBefore('vacation', key, whose, context),
    script: async ({ location, name }) =>
      location === 'global' ? site.global.get(name)?.source : (await scripts.load('sieve', name))?.source,
    programExists: (name) => programs.pathOf(name) !== undefined,
    runProgram: (name, parameters, octets) =>
      programs.run(name, parameters, octets, programLimits(whose, context)),
  };
}

/** From the script's separator to the core's. */
export function folderName(name: string, separator: string): string {
  return separator === '/' ? name : name.split(separator).join('/');
}

/** A name that can be no folder's is that of no folder. */
export function asMissing(error: unknown): false {
  if ((error as { code?: unknown }).code === 'folder-name') return false;
  throw error;
}

function envelopeOf({ envelope, recipient, session }: DeliverInput, now: number): SieveEnvelope {
  const { notify, orcpt } = recipient;
  const { ret, envid, deliverBy } = envelope;
  return {
    from: envelope.sender,
    to: recipient.address,
    originalTo: recipient.original,
    ...(session.user !== undefined && { auth: session.user }),
    ...(notify.length > 0 && { notify }),
    ...(orcpt !== undefined && { orcpt }),
    ...(ret !== undefined && { ret }),
    ...(envid !== undefined && { envid }),
    ...(deliverBy && {
      byTimeAbsoluteMs: deliverBy.until,
      byTimeRelativeSeconds: Math.floor((deliverBy.until - now) / 1000),
      byMode: deliverBy.mode,
      byTrace: deliverBy.trace,
    }),
  };
}

function settingsOf({ user, addresses }: Whose, { options, hostname }: Context): Environment['settings'] {
  const { vacationMinDays, vacationMaxDays, vacationDefaultDays, folderSeparator } = options;
  return {
    userAddress: user,
    userAddresses: addresses,
    subaddressSeparators: [options.subaddressSeparator],
    vacationMinSeconds: Math.round(vacationMinDays * secondsOfDay),
    vacationMaxSeconds: Math.round(vacationMaxDays * secondsOfDay),
    vacationDefaultSeconds: Math.round(vacationDefaultDays * secondsOfDay),
    hostname,
    folderSeparator,
    ...(options.reportFrom !== undefined && { reportFrom: options.reportFrom }),
  };
}

const secondsOfDay = 86_400;

type Item = (input: DeliverInput, context: Context) => string | undefined;

const configPrefix = 'vnd.dovecot.config.';

/** vnd.dovecot.config. */
export function configItem(name: string, { options }: Context): string | undefined {
  if (!name.startsWith(configPrefix)) return undefined;
  const wanted = name.slice(configPrefix.length);
  return Object.entries(options.settings).find(([each]) => each.toLowerCase() === wanted)?.[1];
}

/** Within the time that the hook has. */
function programLimits(
  { user, sender, recipient, octets }: Whose,
  { options, deadline, clock }: Context,
): ProgramLimits {
  return {
    timeoutMs: Math.min(options.programTimeoutSeconds * 1000, deadline - clock.now() - deadlineReserveMs),
    outputBytesMax: octets + outputMoreBytesMax,
    environment: { SENDER: sender, RECIPIENT: recipient, USER: user },
  };
}

/** A program must not take the time in which the message could still be kept. */
const deadlineReserveMs = 2000;
/** A filter adds fields, or words to a body. */
const outputMoreBytesMax = 1024 * 1024;

/** RFC 5183 section 4.1; absent where it is not known, as the RFC asks. */
const items: Readonly<Record<string, Item | undefined>> = {
  domain: (_, { hostname }) => hostname.slice(hostname.indexOf('.') + 1),
  host: (_, { hostname }) => hostname,
  location: () => 'MTA',
  name: () => 'mailfilter',
  phase: () => 'during',
  'remote-host': ({ connection }) => connection.remoteName || undefined,
  'remote-ip': ({ connection }) => connection.remoteIp || undefined,
  'vnd.dovecot.default-mailbox': () => 'INBOX',
  'vnd.dovecot.username': ({ user }) => user,
};
