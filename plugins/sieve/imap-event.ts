/** Scripts that a mailbox names, run when a user adds, copies or flags a message in it by IMAP. RFC 6785. */
import type { HookContext, MovedInput } from 'mailfilter/plugin';
import type { Environment, Program } from '../../rules/sieve/index.ts';
import type { SitePrograms } from '../../rules/site-programs.ts';
import { commonEnvironment, configItem } from './environment.ts';
import type { SieveOptions } from './options.ts';
import type { SiteScripts } from './site-scripts.ts';

type Event = NonNullable<MovedInput['event']>;

/** Section 3.4 and 3.8: there is nobody to refuse or to answer, and no envelope. */
const impossible: ReadonlySet<string> = new Set(['reject', 'ereject', 'vacation', 'vacation-seconds']);

/** What the script requires that cannot be had at such an event; undefined where it can run. */
export function whyNotAtEvent({ requires }: Program): string | undefined {
  const found = requires.find((name) => impossible.has(name));
  return found === undefined ? undefined : `"${found}" cannot be used in a script of a mailbox`;
}

export function eventEnvironment(
  { user, to, flags, message }: MovedInput,
  event: Event,
  context: HookContext<SieveOptions>,
  site: SiteScripts,
  programs: SitePrograms,
): Environment {
  const whose = { user, addresses: [user], id: '', octets: message.length, sender: '', recipient: user };
  const items: Readonly<Record<string, string | undefined>> = {
    domain: context.hostname.slice(context.hostname.indexOf('.') + 1),
    host: context.hostname,
    // RFC 5183 section 4.1: a message store, after final delivery.
    location: 'MS',
    phase: 'post',
    name: 'mailfilter',
    // RFC 6785 section 4.3.
    'imap.user': user,
    'imap.email': user,
    'imap.mailbox': to,
    'imap.cause': event.cause,
    'imap.changedflags': event.cause === 'FLAG' ? event.changedFlags.join(' ') : '',
    'vnd.dovecot.default-mailbox': 'INBOX',
    'vnd.dovecot.username': user,
  };
  return {
    ...commonEnvironment(whose, context, site, programs),
    envelope: {},
    flags,
    item: (name) => configItem(name, context) ?? items[name],
  };
}
