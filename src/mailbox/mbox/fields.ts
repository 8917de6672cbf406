/**
 * The fields that hold a message's UID and flags, written as one block at the end of the header, with room to grow: so
 * that most changes of flags write over a few octets and move nothing. Fields as UW IMAP and Dovecot write them.
 */
import { answeredBit, deletedBit, draftBit, flaggedBit, seenBit } from '../flags.ts';
import type { MboxBase } from './parse.ts';

export interface BlockValues {
  readonly uid: number;
  readonly flags: number;
  readonly keywords: readonly string[];
  /** For the first message. */
  readonly base?: MboxBase;
}

/** Room for some keywords more. */
const spareOctets = 48;

/** The block with spare room. */
export function fieldBlock(values: BlockValues): string {
  return padded(values, block(values, '').length + spareOctets);
}

/** The block in exactly that many octets; undefined when it does not fit. */
export function fieldBlockOf(values: BlockValues, octets: number): string | undefined {
  return block(values, '').length > octets ? undefined : padded(values, octets);
}

function padded(values: BlockValues, octets: number): string {
  return block(values, ' '.repeat(octets - block(values, '').length));
}

/** Keywords are US-ASCII, so that characters are octets. */
function block({ uid, flags, keywords, base }: BlockValues, padding: string): string {
  const letters = (pairs: readonly (readonly [string, number])[]) =>
    pairs.map(([letter, bit]) => (flags & bit ? letter : '')).join('');
  const status = letters([['R', seenBit]]);
  const xStatus = letters([
    ['A', answeredBit],
    ['F', flaggedBit],
    ['T', draftBit],
    ['D', deletedBit],
  ]);
  return (
    (base ? `X-IMAPbase: ${baseText(base)}\n` : '') +
    `X-UID: ${uid}\n` +
    `Status: ${status}O\n` +
    (xStatus === '' ? '' : `X-Status: ${xStatus}\n`) +
    `X-Keywords: ${keywords.join(' ')}${padding}\n`
  );
}

/** Ten digits each, as others write it: so that the last UID is written over in its place. */
function baseText({ uidValidity, lastUid, keywords }: MboxBase): string {
  return [String(uidValidity).padStart(10, '0'), String(lastUid).padStart(10, '0'), ...keywords].join(' ');
}
