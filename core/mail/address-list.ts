/** Addresses in header fields: From, To, Cc and their like. RFC 5322 section 3.4 with the obsolete forms of section 4.4. */
import { joinAddress } from './address.ts';
import { type AddressToken, tokeniseAddresses } from './address-token.ts';
import { decodeWords } from './encoded-word.ts';

export interface HeaderAddress {
  /** Display name, unquoted, encoded words decoded; the comment of `a@b (Name)`; `''` when there is none. */
  readonly name: string;
  /** `local@domain`, quotes only where needed, domain in lower case; `''` when there is nothing like an address. */
  readonly address: string;
  /** The domain in the letters of the message, where these differ. */
  readonly writtenDomain?: string;
  /** False where the text breaks the grammar: then `address` is a guess. */
  readonly valid: boolean;
  /** Name of the group that the mailbox is listed in. */
  readonly group?: string;
}

/** The mailboxes of a field's value in order, groups flattened; linear time, never fails. */
export function parseAddressList(value: string): HeaderAddress[] {
  const plain = plainAddress.exec(value);
  if (plain) {
    const [, name = '', inAngle, alone = ''] = plain;
    return [{ name, address: inAngle ?? alone, valid: true }];
  }
  const tokens = tokeniseAddresses(value);
  const addresses: HeaderAddress[] = [];
  let group: string | undefined;
  let entry: AddressToken[] = [];
  let inAngle = false;
  for (const token of tokens) {
    if (token.text === '<' && token.kind === 'special') inAngle = true;
    if (token.text === '>' && token.kind === 'special') inAngle = false;
    const separator = token.kind === 'special' && !inAngle && /^[,;:]$/.test(token.text);
    if (!separator) {
      entry.push(token);
    } else if (token.text === ':' && group === undefined && !hasAngle(entry)) {
      group = phraseText(entry);
      entry = [];
    } else {
      if (entry.length > 0) addresses.push(readEntry(entry, group));
      if (token.text === ';') group = undefined;
      entry = [];
    }
  }
  if (entry.some((token) => token.kind !== 'comment')) addresses.push(readEntry(entry, group));
  return addresses;
}

/** One address without anything to be unquoted or decoded: most fields. */
const plainAddress =
  /^(?:(?:([A-Za-z0-9]{1,40}(?: [A-Za-z0-9]{1,40}){0,5}) )?<([\w+-]{1,64}(?:\.[\w+-]{1,64}){0,5}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,8})>|([\w+-]{1,64}(?:\.[\w+-]{1,64}){0,5}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,8}))$/;

function hasAngle(entry: readonly AddressToken[]): boolean {
  return entry.some((token) => token.kind === 'special' && token.text === '<');
}

function readEntry(entry: readonly AddressToken[], group: string | undefined): HeaderAddress {
  const grouped = group === undefined ? {} : { group };
  const comment = entry.find((token) => token.kind === 'comment')?.value ?? '';
  const tokens = entry.filter((token) => token.kind !== 'comment');
  const open = tokens.findIndex((token) => token.kind === 'special' && token.text === '<');
  if (open < 0) {
    const { address, valid, ...written } = readAddrSpec(tokens);
    const name = address === '' ? phraseText(tokens) : decodeWords(comment);
    return { name, address, valid, ...written, ...grouped };
  }
  const close = tokens.findIndex((token, at) => at > open && token.kind === 'special' && token.text === '>');
  const inside = tokens.slice(open + 1, close < 0 ? tokens.length : close);
  const phrase = tokens.slice(0, open);
  const { address, valid, ...written } = readAddrSpec(withoutRoute(inside));
  const wellFormed = valid && close === tokens.length - 1 && isPhrase(phrase);
  const name = phraseText(phrase) || decodeWords(comment);
  return { name, address, valid: wellFormed, ...written, ...grouped };
}

/** obs-route: `@a,@b:` before the address is ignored. RFC 5322 section 4.4. */
function withoutRoute(tokens: readonly AddressToken[]): readonly AddressToken[] {
  if (tokens[0]?.text !== '@') return tokens;
  const colon = tokens.findIndex((token) => token.kind === 'special' && token.text === ':');
  return tokens.slice(colon + 1);
}

function readAddrSpec(
  tokens: readonly AddressToken[],
): Pick<HeaderAddress, 'address' | 'valid' | 'writtenDomain'> {
  const at = tokens.findLastIndex((token) => token.kind === 'special' && token.text === '@');
  if (at < 0) return { address: '', valid: false };
  const local = tokens.slice(0, at);
  const domain = tokens.slice(at + 1);
  const literal = domain.length === 1 && domain[0]!.kind === 'literal';
  const valid = isDotted(local, ['atom', 'quoted']) && (literal || isDotted(domain, ['atom']));
  const writtenDomain = domain.map((token) => token.text).join('');
  const domainText = writtenDomain.toLowerCase();
  if (!valid) {
    const written = local.map((token) => token.text).join('');
    return { address: written === '' || domainText === '' ? '' : `${written}@${domainText}`, valid };
  }
  const address = joinAddress(local.map((token) => token.value).join(''), domainText);
  return writtenDomain === domainText ? { address, valid } : { address, valid, writtenDomain };
}

/** Words with single dots between them. */
function isDotted(tokens: readonly AddressToken[], kinds: readonly AddressToken['kind'][]): boolean {
  if (tokens.length % 2 === 0) return false;
  return tokens.every((token, at) =>
    at % 2 === 0 ? kinds.includes(token.kind) : token.kind === 'special' && token.text === '.',
  );
}

/** obs-phrase: words, with dots after the first. */
function isPhrase(tokens: readonly AddressToken[]): boolean {
  return tokens.every((token, at) => {
    const word = token.kind === 'atom' || token.kind === 'quoted';
    return word || (at > 0 && token.kind === 'special' && token.text === '.');
  });
}

function phraseText(tokens: readonly AddressToken[]): string {
  let text = '';
  for (const token of tokens) {
    if (token.kind !== 'comment') text += (token.gap && text !== '' ? ' ' : '') + token.value;
  }
  return decodeWords(text);
}
