/** Flags as bits: five system flags, then the folder's keywords. RFC 9051 section 2.3.2; `\Recent` belongs to a session. */
import { keywordsMax } from '../../core/base/limits/mailbox.ts';

export const systemFlags = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const;

export const answeredBit = 1;
export const flaggedBit = 2;
export const deletedBit = 4;
export const seenBit = 8;
export const draftBit = 16;

const bitsBySystemFlag = new Map(systemFlags.map((flag, index) => [flag.toLowerCase(), 1 << index]));
const firstKeywordBit = systemFlags.length;

/** Keyword names by their index; '' where an index is free. */
export type Keywords = readonly string[];

/** The bit of keyword `index`, which is below `keywordsMax`. */
export function keywordBit(index: number): number {
  return (1 << (firstKeywordBit + index)) >>> 0;
}

/** The bit of a flag in any case; 0 for a keyword that the folder does not have. */
export function flagBit(flag: string, keywords: Keywords): number {
  const lower = flag.toLowerCase();
  const system = bitsBySystemFlag.get(lower);
  if (system !== undefined) return system;
  const index = keywords.findIndex((keyword) => keyword !== '' && keyword.toLowerCase() === lower);
  return index < 0 || index >= keywordsMax ? 0 : keywordBit(index);
}

export function flagNames(bits: number, keywords: Keywords): string[] {
  const names: string[] = systemFlags.filter((_, index) => bits & (1 << index));
  for (let index = 0; index < keywords.length; index += 1) {
    if (keywords[index] !== '' && bits & keywordBit(index)) names.push(keywords[index]!);
  }
  return names;
}

export function isSystemFlag(flag: string): boolean {
  return bitsBySystemFlag.has(flag.toLowerCase());
}

/** RFC 9051 flag-keyword is an atom; a backslash would be a system flag that is not stored. */
export function isKeyword(flag: string): boolean {
  return /^[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]{1,200}$/.test(flag);
}
