/** The ENVELOPE of a message, from its header as written: nothing is decoded. RFC 9051 section 7.5.2. */
import { mimeStructureLimits } from '../base/limits/message.ts';
import { type AddressToken, tokeniseAddresses } from './address-token.ts';
import type { HeaderBlock } from './header.ts';
import { nstring } from './imap-text.ts';
import { fieldOctets } from './mime-structure.ts';

/** Parenthesised, octets as Latin-1. */
export function envelopeText(header: HeaderBlock): string {
  const fields = new Map<string, string[]>();
  for (let index = 0; index < header.starts.length; index += 1) {
    const nameEnd = header.nameEnds[index]!;
    if (nameEnd < 0) continue;
    const name = header.bytes.toString('latin1', header.starts[index]!, nameEnd).toLowerCase();
    if (!envelopeFields.has(name)) continue;
    const values = fields.get(name) ?? [];
    if (values.length < mimeStructureLimits.repeatedFieldsMax) values.push(fieldOctets(header, index));
    fields.set(name, values);
  }
  const text = (name: string) => nstring(fields.get(name)?.[0]);
  const list = (name: string) => addressesText((fields.get(name) ?? []).join(', '));
  const from = list('from');
  // RFC 9051 section 7.5.2: an absent or empty Sender or Reply-To is that of From.
  const orFrom = (addresses: string) => (addresses === 'NIL' ? from : addresses);
  return `(${[
    text('date'),
    text('subject'),
    from,
    orFrom(list('sender')),
    orFrom(list('reply-to')),
    list('to'),
    list('cc'),
    list('bcc'),
    text('in-reply-to'),
    text('message-id'),
  ].join(' ')})`;
}

const envelopeFields: ReadonlySet<string> = new Set([
  'date',
  'subject',
  'from',
  'sender',
  'reply-to',
  'to',
  'cc',
  'bcc',
  'in-reply-to',
  'message-id',
]);

/** One address as ENVELOPE has it; undefined is NIL. A group begins with its name as mailbox and ends without one, both without host. */
export interface EnvelopeAddress {
  readonly name: string | undefined;
  readonly route: string | undefined;
  readonly mailbox: string | undefined;
  readonly host: string | undefined;
}

/** The addresses of a field, groups between their marks; texts are octets. @param value octets as Latin-1, unfolded */
export function* envelopeAddresses(value: string): Generator<EnvelopeAddress> {
  const plain = plainAddressOf(value);
  if (plain) {
    yield plain;
    return;
  }
  let count = 0;
  for (const entry of entries(tokeniseAddresses(value))) {
    if (count >= mimeStructureLimits.addressesMax) break;
    const address = entryAddress(entry);
    if (!address) continue;
    yield address;
    count += 1;
  }
}

/** `NIL`, or the addresses in parentheses. */
function addressesText(value: string): string {
  if (value === '') return 'NIL';
  let text = '';
  for (const { name, route, mailbox, host } of envelopeAddresses(value)) {
    text += `(${nstring(name)} ${nstring(route)} ${nstring(mailbox)} ${nstring(host)})`;
  }
  return text === '' ? 'NIL' : `(${text})`;
}

/** One address without anything to be unquoted: most fields. */
const plainAddress =
  /^(?:([A-Za-z0-9]{1,40}(?: [A-Za-z0-9]{1,40}){0,5}) )?<([\w.+-]{1,64})@([A-Za-z0-9.-]{1,255})>$|^([\w.+-]{1,64})@([A-Za-z0-9.-]{1,255})$/;

function plainAddressOf(value: string): EnvelopeAddress | undefined {
  const match = plainAddress.exec(value);
  if (!match) return undefined;
  const [, name, mailbox = match[4], host = match[5]] = match;
  return { name, route: undefined, mailbox, host };
}

type Entry =
  | { readonly kind: 'address' | 'group'; readonly tokens: readonly AddressToken[] }
  | { readonly kind: 'group-end' };

function* entries(tokens: readonly AddressToken[]): Generator<Entry> {
  let entry: AddressToken[] = [];
  let inAngle = false;
  let inGroup = false;
  for (const token of tokens) {
    const mark = token.kind === 'special' ? token.text : '';
    if (mark === '<') inAngle = true;
    if (mark === '>') inAngle = false;
    if (!inAngle && mark === ':' && !inGroup) {
      yield { kind: 'group', tokens: entry };
      inGroup = true;
    } else if (!inAngle && (mark === ',' || mark === ';')) {
      if (entry.some(isWord)) yield { kind: 'address', tokens: entry };
      if (mark === ';' && inGroup) {
        yield { kind: 'group-end' };
        inGroup = false;
      }
    } else {
      entry.push(token);
      continue;
    }
    entry = [];
  }
  if (entry.some(isWord)) yield { kind: 'address', tokens: entry };
  if (inGroup) yield { kind: 'group-end' };
}

function isWord(token: AddressToken): boolean {
  return token.kind !== 'comment';
}

/** Undefined where there is nothing at all. */
function entryAddress(entry: Entry): EnvelopeAddress | undefined {
  const none = { name: undefined, route: undefined, mailbox: undefined, host: undefined };
  if (entry.kind === 'group-end') return none;
  if (entry.kind === 'group') return { ...none, mailbox: phrase(entry.tokens) };
  // RFC 5322 section 3.4: a name in a comment stands behind the address.
  const comment = entry.tokens.findLast((token) => token.kind === 'comment')?.value;
  const tokens = entry.tokens.filter((token) => token.kind !== 'comment');
  const open = tokens.findIndex(isMark('<'));
  if (open < 0) return specAddress(comment, undefined, tokens);
  const close = tokens.findIndex((token, at) => at > open && isMark('>')(token));
  const inside = tokens.slice(open + 1, close < 0 ? tokens.length : close);
  const { route, rest } = splitRoute(inside);
  return specAddress(phrase(tokens.slice(0, open)) || comment, route, rest);
}

function specAddress(
  name: string | undefined,
  route: string | undefined,
  spec: readonly AddressToken[],
): EnvelopeAddress | undefined {
  const at = spec.findLastIndex(isMark('@'));
  // Words alone are a name whose address is missing.
  if (at < 0 && !name && spec.some(({ gap }, index) => index > 0 && gap))
    return { name: phrase(spec), route, mailbox: '', host: '' };
  const local = spec.slice(0, at < 0 ? undefined : at).map((token) => token.value);
  const host = at < 0 ? '' : joined(spec.slice(at + 1));
  const mailbox = local.join('');
  if (mailbox === '' && host === '' && !name) return undefined;
  // A NIL host would begin or end a group: what has no domain gets an empty one.
  return { name: name || undefined, route, mailbox, host };
}

/** obs-route: `@a,@b:` before the address. RFC 5322 section 4.4. */
function splitRoute(tokens: readonly AddressToken[]): { route?: string; rest: readonly AddressToken[] } {
  if (tokens[0] === undefined || !isMark('@')(tokens[0])) return { rest: tokens };
  const colon = tokens.findIndex(isMark(':'));
  if (colon < 0) return { rest: tokens };
  return { route: joined(tokens.slice(0, colon)), rest: tokens.slice(colon + 1) };
}

function isMark(mark: string): (token: AddressToken) => boolean {
  return (token) => token.kind === 'special' && token.text === mark;
}

function joined(tokens: readonly AddressToken[]): string {
  return tokens.map((token) => token.text).join('');
}

/** Words as written, quotes taken off; encoded words stay. */
function phrase(tokens: readonly AddressToken[]): string {
  let text = '';
  for (const token of tokens) {
    if (token.kind !== 'comment') text += (token.gap && text !== '' ? ' ' : '') + token.value;
  }
  return text;
}
