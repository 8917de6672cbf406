/**
 * The name of a message file: a base that never changes, with its sizes as Dovecot reads them, then `:2,` and the flags'
 * letters. https://cr.yp.to/proto/maildir.html
 */
import { keywordsMax } from '../../../core/base/limits/mailbox.ts';
import { answeredBit, deletedBit, draftBit, flaggedBit, keywordBit, seenBit } from '../flags.ts';

const bitsByLetter = new Map<string, number>([
  ['D', draftBit],
  ['F', flaggedBit],
  ['R', answeredBit],
  ['S', seenBit],
  ['T', deletedBit],
  ...Array.from(
    { length: keywordsMax },
    (_, index) => [String.fromCharCode(97 + index), keywordBit(index)] as const,
  ),
]);
const lettersInOrder = [...bitsByLetter].sort(([a], [b]) => (a < b ? -1 : 1));

/** Everything before the flags: what names the message for ever. */
export function baseOf(name: string): string {
  const end = name.indexOf(':');
  return end < 0 ? name : name.slice(0, end);
}

/** The name that delivery gave, without sizes: what tombstones and replay know. */
export function deliveryNameOf(name: string): string {
  const end = name.search(/[,:]/);
  return end < 0 ? name : name.slice(0, end);
}

/** Flag bits of the letters; those of letters that are not known are left out. */
export function flagBitsOf(name: string): number {
  const info = name.indexOf(':2,');
  if (info < 0) return 0;
  let bits = 0;
  for (let at = info + 3; at < name.length; at += 1) {
    // What follows a comma is for experiments.
    if (name[at] === ',') break;
    bits |= bitsByLetter.get(name[at]!) ?? 0;
  }
  return bits >>> 0;
}

/** The name with other flags; letters that are not ours to know stay, such as P for passed. */
export function withFlags(name: string, bits: number): string {
  const info = name.indexOf(':2,');
  const rest = info < 0 ? '' : name.slice(info + 3);
  const comma = rest.indexOf(',');
  const known = comma < 0 ? rest : rest.slice(0, comma);
  const letters = [...known].filter((letter) => !bitsByLetter.has(letter));
  for (const [letter, bit] of lettersInOrder) if (bits & bit) letters.push(letter);
  return `${baseOf(name)}:2,${letters.sort().join('')}${comma < 0 ? '' : rest.slice(comma)}`;
}

/** Octets with CRLF line ends, or NaN where the name does not tell. */
export function crlfOctetsOf(name: string): number {
  const match = /,W=(\d{1,15})(?=[,:]|$)/.exec(name);
  return match ? Number(match[1]) : Number.NaN;
}

/** Octets of the file, or NaN. */
export function octetsOf(name: string): number {
  const match = /,S=(\d{1,15})(?=[,:]|$)/.exec(name);
  return match ? Number(match[1]) : Number.NaN;
}

/** Bases in the order in which the messages came: by their seconds, then by the rest. */
export function byArrival(a: string, b: string): number {
  const first = Number.parseInt(a, 10);
  const second = Number.parseInt(b, 10);
  if (first !== second && !Number.isNaN(first) && !Number.isNaN(second)) return first - second;
  return a < b ? -1 : a > b ? 1 : 0;
}
