/** Text beyond US-ASCII in address fields, where encoded words may stand only in phrases and comments. RFC 2047 section 5. */
import { domainToASCII } from 'node:url';
import { encodeWords } from './encoded-word.ts';

/** RFC 5322 sections 3.6.2, 3.6.3, 3.6.6, and those that share their grammar. */
const addressFields = new Set([
  'from',
  'sender',
  'reply-to',
  'to',
  'cc',
  'bcc',
  'resent-from',
  'resent-sender',
  'resent-reply-to',
  'resent-to',
  'resent-cc',
  'resent-bcc',
  'disposition-notification-to',
]);

/** Quoted strings, comments (one level), angle addresses, separators, white space, words. */
const token =
  /"(?:[^"\\]|\\[\s\S])*"|\((?:[^()\\]|\\[\s\S])*\)|<[^<>]*>|[,;:]|[ \t\r\n]+|[^",;:<>() \t\r\n]+|[\s\S]/g;
const beyondAscii = /[^\0-\x7f]/;

export function isAddressField(name: string): boolean {
  return addressFields.has(name.toLowerCase());
}

/**
 * The value with display names and comments as encoded words and domains as A-labels. A local part beyond US-ASCII
 * has no other form (RFC 6531 section 3.2) and stays UTF-8.
 */
export function encodeAddressField(value: string): string {
  const tokens = value.match(token) ?? [];
  let out = '';
  for (let at = 0; at < tokens.length; at++) {
    const text = tokens[at]!;
    if (!beyondAscii.test(text)) out += text;
    else if (text.startsWith('<')) out += `<${encodeAddress(text.slice(1, -1))}>`;
    else if (text.startsWith('(')) out += `(${encodeWords(text.slice(1, -1))})`;
    else if (text.startsWith('"')) out += tokens[at + 1]?.startsWith('@') ? text : encodeWords(unquote(text));
    else if (text.includes('@')) out += encodeAddress(text);
    else {
      const run = phraseRun(tokens, at);
      out += encodeWords(tokens.slice(at, run + 1).join(''));
      at = run;
    }
  }
  return out;
}

/** Index of the last token of the words that begin at `at`, need encoding, and have only white space between them. */
function phraseRun(tokens: readonly string[], at: number): number {
  let end = at;
  while (/^[ \t]+$/.test(tokens[end + 1] ?? '') && isEncodable(tokens[end + 2] ?? '')) end += 2;
  return end;
}

function isEncodable(text: string): boolean {
  return beyondAscii.test(text) && !/^["<(]/.test(text) && !text.includes('@');
}

function encodeAddress(address: string): string {
  const at = address.lastIndexOf('@');
  if (at < 0) return address;
  const domain = address.slice(at + 1);
  if (!beyondAscii.test(domain)) return address;
  // An empty answer means that the domain has no A-label form.
  return `${address.slice(0, at)}@${domainToASCII(domain) || domain}`;
}

function unquote(text: string): string {
  return text.slice(1, -1).replace(/\\([\s\S])/g, '$1');
}
