/** What a DNS list's answers mean: addresses and networks of 127.0.0.0/8, bits of one, or a refusal to serve us. RFC 5782 section 2.3. */
import { BlockList, isIPv4 } from 'node:net';

/** Tells whether an answer of a list is one of those that are meant. */
export type AnswerTest = (answer: string) => boolean;

/** @throws Error for what is no address, or network, of 127.0.0.0/8; `of` says whose it is */
export function answersIn(entries: readonly string[], of: string): AnswerTest {
  const list = new BlockList();
  for (const entry of entries) addAnswer(list, entry, of);
  return (answer) => isIPv4(answer) && list.check(answer, 'ipv4');
}

/** Any of the bits is set in the last three octets of the answer: 127.0.0.6 has the bits 2 and 4. RFC 5782 section 2.3. */
export function answersWithBits(mask: number): AnswerTest {
  return (answer) => isListing(answer) && (bitsOf(answer) & mask) !== 0;
}

/** RFC 8904 section 3.1: 127.0.c.t, where c is a category and t a level of trust from 0 to 3. */
export function answersOfTrust(level: number): AnswerTest {
  return (answer) => isListing(answer) && answer.startsWith('127.0.') && (bitsOf(answer) & 255) === level;
}

/** Only 127.0.0.0/8 means "listed"; anything else is a parked or hijacked zone. RFC 5782 section 2.1. */
export function isListing(answer: string): boolean {
  return isIPv4(answer) && answer.startsWith('127.');
}

function bitsOf(answer: string): number {
  const [, high = 0, middle = 0, low = 0] = answer.split('.').map(Number);
  return (high << 16) | (middle << 8) | low;
}

function addAnswer(list: BlockList, answer: string, of: string): void {
  const [address = '', prefix = '32'] = answer.split('/');
  const length = Number(prefix);
  const fits = isListing(address) && /^\d+$/.test(prefix);
  if (!fits || length < 8 || length > 32) {
    throw new Error(`${of}: "${answer}" is no answer of a list: 127.x.y.z, or 127.x.y.z/8 to /32`);
  }
  list.addSubnet(address, length, 'ipv4');
}
