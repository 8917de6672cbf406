/** Which messages vacation does not answer. RFC 5230 section 4.5 and 4.6, RFC 3834 section 2. */
import type { Run } from '../run.ts';

export type Decision =
  | { readonly reason: string }
  /** The address of the user that the message came to. */
  | { readonly ownAddress: string };

/** Local parts of programs. RFC 3834 section 2. */
const programs = /^(?:mailer-daemon|listserv|majordomo|owner-.*|.*-(?:request|owner|bounces?))$/i;

/** Fields that only mailing lists write: RFC 2369, RFC 2919. */
const listFields = [
  'list-id',
  'list-owner',
  'list-subscribe',
  'list-unsubscribe',
  'list-post',
  'list-archive',
  'list-help',
];

export function whyNotAnswered(run: Run, sender: string, addresses: readonly string[]): Decision {
  const reason = ofSender(run, sender, addresses) ?? ofHeader(run);
  return reason === undefined ? addressed(run, addresses) : { reason };
}

function ofSender(run: Run, sender: string, addresses: readonly string[]): string | undefined {
  if (sender === '') return 'the message has no sender to answer';
  if (!sender.includes('@')) return `${sender} is no address`;
  if (own(run, addresses).includes(sender.toLowerCase())) return 'the sender is the user';
  const local = sender.slice(0, sender.lastIndexOf('@'));
  return programs.test(local) ? `${sender} is a program` : undefined;
}

function ofHeader(run: Run): string | undefined {
  const { fields } = run.original;
  const list = listFields.find((name) => fields.named(name).length > 0);
  if (list !== undefined) return `the message comes from a mailing list (${list})`;
  for (const value of fields.rawValues('auto-submitted')) {
    if (!/^no\b/i.test(value)) return `the message was submitted automatically (${value.slice(0, 40)})`;
  }
  for (const value of fields.rawValues('precedence')) {
    if (/^(?:junk|bulk|list)$/i.test(value)) return `the message is bulk mail (precedence: ${value})`;
  }
  for (const value of fields.rawValues('x-auto-response-suppress')) {
    const words = value.toLowerCase().split(/[\s,]+/);
    if (words.includes('all') || words.includes('oof')) return 'the sender wants no automatic reply';
  }
  // What a filter found to be spam has a forged sender.
  return fields.rawValues('x-spam-flag').some((value) => /^yes/i.test(value))
    ? 'the message is spam'
    : undefined;
}

/** Addresses of the user in lower case, the most certain first. */
function own(run: Run, addresses: readonly string[]): string[] {
  const { envelope } = run.environment;
  const { userAddress, userAddresses = [], vacationUsesOriginalRecipient } = run.settings;
  const all = [
    userAddress,
    envelope.to,
    vacationUsesOriginalRecipient ? envelope.originalTo : undefined,
    ...addresses,
    ...userAddresses,
  ];
  return all.flatMap((address) => (address?.includes('@') ? [address.toLowerCase()] : []));
}

/** RFC 5230 section 4.5: some address of the user stands in the header, or nothing is answered. */
function addressed(run: Run, addresses: readonly string[]): Decision {
  const known = own(run, addresses);
  const named = ['to', 'cc', 'bcc', 'resent-to', 'resent-cc', 'resent-bcc'].flatMap((name) =>
    run.original.fields.addresses(name),
  );
  const found = named.find(({ address }) => known.includes(address.toLowerCase()));
  if (found) return { ownAddress: found.address };
  const [first] = known;
  if (run.settings.vacationIgnoresRecipients && first !== undefined) return { ownAddress: first };
  return { reason: 'the message is not addressed to the user' };
}
