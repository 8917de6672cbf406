/** Macros of SPF: their grammar and what they stand for. RFC 7208 section 7. */
import { spfLimits } from '../../base/limits/auth.ts';
import { dottedIp, type IpOctets } from './ip-address.ts';

/** What the letters stand for. */
export interface MacroValues {
  readonly ip: IpOctets;
  /** As the client's address is written (%{c}). */
  readonly readableIp: string;
  /** `local@domain` */
  readonly sender: string;
  readonly helo: string;
  /** The domain whose record is carried out. */
  readonly domain: string;
  /** Our own name (%{r}). */
  readonly receiver: string;
  /** Epoch seconds (%{t}). */
  readonly now: number;
  /** %{p}; asked only where it is used. */
  validatedName(): Promise<string>;
}

/** A count of parts is at least 1; none that counts has four digits. */
const expansionOf = (letters: string) => `%(?:%|_|-|\\{[${letters}](?:0*[1-9]\\d{0,2})?r?[-.+,/_=]*\\})`;
const expansion = expansionOf('slodiphv');
const macroString = new RegExp(`^(?:[\x21-\x24\x26-\x7e]|${expansion})*$`, 'i');
/** In explanations also spaces, and the letters c, r and t. */
const explainString = new RegExp(`^(?:[\x20-\x24\x26-\x7e]|${expansionOf('slodiphvcrt')})*$`, 'i');
const endsWithMacro = new RegExp(`${expansion}$`, 'i');
const toplabel = /\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?$/;

export function isMacroString(text: string): boolean {
  return macroString.test(text);
}

/** RFC 7208 section 7.1: a macro-string that ends with a top label or a macro. */
export function isDomainSpec(text: string): boolean {
  return text !== '' && macroString.test(text) && (toplabel.test(text) || endsWithMacro.test(text));
}

/** The name that a domain-spec stands for, cut from the left to what fits in DNS; undefined for what can be no name. */
export async function expandDomain(domainSpec: string, values: MacroValues): Promise<string | undefined> {
  const expanded = (await expand(domainSpec, values)).replace(/\.$/, '');
  const labels = expanded.split('.');
  let length = expanded.length;
  while (length > spfLimits.nameOctetsMax && labels.length > 1) length -= labels.shift()!.length + 1;
  // RFC 8616 section 5: a local part beyond US-ASCII makes no name.
  const fits = labels.every((label) => label !== '' && label.length <= 63 && /^[\x21-\x7e]+$/.test(label));
  return fits ? labels.join('.') : undefined;
}

/** The text of an explanation; undefined when it breaks the grammar. */
export async function expandExplanation(text: string, values: MacroValues): Promise<string | undefined> {
  return explainString.test(text) ? await expand(text, values) : undefined;
}

async function expand(text: string, values: MacroValues): Promise<string> {
  let expanded = '';
  for (const [part] of text.matchAll(/%\{[^}]*\}|%.|[^%]+/g)) {
    if (part === '%%') expanded += '%';
    else if (part === '%_') expanded += ' ';
    else if (part === '%-') expanded += '%20';
    else expanded += part.startsWith('%{') ? await expandMacro(part, values) : part;
  }
  return expanded;
}

async function expandMacro(macro: string, values: MacroValues): Promise<string> {
  const [, letter = '', digits = '', reverse = '', delimiters = ''] =
    /^%\{([A-Za-z])(\d*)([rR]?)(.*)\}$/.exec(macro)!;
  const value = await macroValue(letter.toLowerCase(), values);
  let parts = splitAt(value, delimiters === '' ? '.' : delimiters);
  if (reverse !== '') parts = parts.reverse();
  if (digits !== '') parts = parts.slice(-Number(digits));
  const text = parts.join('.');
  return letter === letter.toLowerCase() ? text : escapeUri(text);
}

function macroValue(letter: string, values: MacroValues): string | Promise<string> {
  const at = values.sender.lastIndexOf('@');
  switch (letter) {
    case 's':
      return values.sender;
    case 'l':
      return values.sender.slice(0, at);
    case 'o':
      return values.sender.slice(at + 1);
    case 'd':
      return values.domain;
    case 'i':
      return dottedIp(values.ip);
    case 'p':
      return values.validatedName();
    case 'v':
      return values.ip.length === 4 ? 'in-addr' : 'ip6';
    case 'h':
      return values.helo;
    case 'c':
      return values.readableIp;
    case 'r':
      return values.receiver;
    default:
      return String(values.now);
  }
}

function splitAt(text: string, delimiters: string): string[] {
  const parts = [''];
  for (const character of text) {
    if (delimiters.includes(character)) parts.push('');
    else parts.push(parts.pop()! + character);
  }
  return parts;
}

/** RFC 3986 section 2.3: everything but unreserved characters. */
function escapeUri(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
