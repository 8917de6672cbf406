/** mailto URIs as notification methods. RFC 6068, RFC 5436 section 2.1. */
import { isAddress } from '../../core/mail/address.ts';
import { parseSingleAddress } from './single-address.ts';
import { shown } from './text.ts';

export interface Mailto {
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  readonly subject?: string;
  readonly body?: string;
  /** Other header fields that are safe to set. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** What of it will have no effect, in words for the author. */
  readonly warnings: readonly string[];
}

/** Fields that say who sent what where, and those that a notification sets itself. RFC 6068 section 4. */
const refused =
  /^(?:from|sender|reply-to|date|message-id|received|return-path|auto-submitted|precedence|mime-version|content-.*|resent-.*|list-.*|dkim-.*|arc-.*|authentication-results|x-priority|importance)$/i;

export function parseMailto(uri: string): Mailto | { readonly error: string } {
  const match = /^mailto:([^?#]*)(?:\?([^#]*))?$/i.exec(uri);
  if (!match) return { error: 'invalid character in URI' };
  const wrong = /[<>" ]/.exec(match[1]!)?.[0];
  if (wrong !== undefined) return { error: `invalid character '${wrong}' in 'to' part` };
  const lists: Record<'to' | 'cc' | 'bcc', string[]> = { to: [], cc: [], bcc: [] };
  const fields: [string, string][] = [];
  const warnings: string[] = [];
  let subject: string | undefined;
  let body: string | undefined;
  const pairs = [
    ['to', match[1]!],
    ...(match[2] || '')
      .split('&')
      .filter((pair) => pair !== '')
      .map(splitPair),
  ];
  for (const [rawName, rawValue] of pairs as [string, string][]) {
    const name = decoded(rawName);
    const value = decoded(rawValue);
    if (name === undefined || value === undefined) return { error: 'invalid % encoding' };
    const lower = name.toLowerCase();
    if (lower === 'to' || lower === 'cc' || lower === 'bcc') {
      // The path may be empty, a field may not.
      for (const item of rawValue === '' && rawName === 'to' ? [] : rawValue.split(',')) {
        const text = decoded(item) ?? item;
        if (text === '') return { error: "invalid recipient '': empty address" };
        const parsed = parseSingleAddress(text);
        if ('error' in parsed) return { error: `invalid recipient '${shown(text)}': ${parsed.error}` };
        if (!isAddress(parsed.address))
          return { error: `invalid recipient '${shown(text)}': invalid domain` };
        lists[lower].push(parsed.address);
      }
    } else if (lower === 'body') body = value;
    // RFC 6068 section 5: line ends belong into bodies alone.
    else if (/[\0\r\n]/.test(value)) return { error: 'invalid header field body' };
    else if (lower === 'subject') subject = value;
    else if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name))
      return { error: `invalid header field name '${shown(name)}'` };
    else if (refused.test(name)) warnings.push(`ignored reserved header field '${shown(lower)}'`);
    else fields.push([name, value]);
  }
  if (lists.to.length + lists.cc.length + lists.bcc.length === 0)
    warnings.push('notification URI specifies no recipients');
  return {
    ...lists,
    fields,
    warnings,
    ...(subject !== undefined && { subject }),
    ...(body !== undefined && { body }),
  };
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // URIError: no UTF-8 behind the percent signs
  }
}
