/** The first words of a message, as lists show them. RFC 8970. */
import { indexLimits } from '../../../core/base/limits/mailbox.ts';
import type { MimePart } from '../../../core/mail/mime-structure.ts';
import { decodePart } from './decode-part.ts';

/** At most 200 characters, white space made single; '' where there is no text. RFC 8970 section 3.1. */
export function previewOf(message: Buffer, structure: MimePart): string {
  const part = firstText(structure, 'PLAIN') ?? firstText(structure, 'HTML');
  if (!part) return '';
  const { plainCharacters, htmlCharacters } = indexLimits.previewSource;
  const text = decodePart(message, part, part.subtype === 'HTML' ? htmlCharacters : plainCharacters);
  if (part.subtype === 'HTML') return firstWords(withoutTags(text));
  const begin = firstWords(text.slice(0, 500));
  return begin.length >= previewCharacters ? begin : firstWords(text);
}

const previewCharacters = 200;

function firstWords(text: string): string {
  const words = text.replace(/[\s\0-\x1f\x7f]+/g, ' ').trim();
  const begin = words.slice(0, 2 * previewCharacters);
  // Characters are code points, of which some take two places.
  const isWide = /[\ud800-\udfff]/.test(begin);
  return isWide ? [...begin].slice(0, previewCharacters).join('') : begin.slice(0, previewCharacters);
}

function firstText(part: MimePart, subtype: string): MimePart | undefined {
  if (
    part.type === 'TEXT' &&
    part.subtype === subtype &&
    part.disposition?.value.toLowerCase() !== 'attachment'
  )
    return part;
  for (const each of part.parts ?? []) {
    const found = firstText(each, subtype);
    if (found) return found;
  }
  return undefined;
}

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  nbsp: ' ',
  apos: "'",
};

/** Good enough for a glance: what is between tags, but for style, script and head. */
function withoutTags(html: string): string {
  return html
    .replace(/<(style|script|head|title)\b[^>]{0,1000}>[\s\S]*?(?:<\/\1\s*>|$)/gi, ' ')
    .replace(/<!--[\s\S]*?(?:-->|$)/g, ' ')
    .replace(/<[^>]*(?:>|$)/g, ' ')
    .replace(/&(#\d{1,7}|[a-z]{2,6});/gi, (whole, name: string) => entityText(name) ?? whole);
}

function entityText(name: string): string | undefined {
  if (!name.startsWith('#')) return entities[name.toLowerCase()];
  const code = Number(name.slice(1));
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}
