/** Parts of addresses as values. RFC 5228 section 2.7.4. */
import { splitAddress } from '../../core/mail/address.ts';
import { decodeWords } from '../../core/mail/encoded-word.ts';
import type { AddressField } from './fields.ts';
import type { Run } from './run.ts';
import type { AddressPart } from './spec.ts';
import { Values } from './values.ts';

/** A field without any address has only `:all` of it: the whole value. RFC 5228 section 2.7.4. */
export function addressValues(run: Run, part: AddressPart, fields: readonly AddressField[]): Values {
  const texts: string[] = [];
  for (const { value, addresses } of fields) {
    if (addresses.length === 0 && part.name === 'all') texts.push(decodeWords(value));
    for (const { address, writtenDomain } of addresses) {
      const text = partOf(run, part, withDomain(address, writtenDomain));
      if (text !== undefined) texts.push(text);
    }
  }
  return new Values(texts);
}

/** A part of `local@domain`; all parts of the null path are empty. RFC 5228 section 5.4. */
export function partOf(run: Run, part: AddressPart, address: string): string | undefined {
  if (address === '') return '';
  if (part.name === 'all') return address;
  const { local } = splitAddress(address);
  const at = address.lastIndexOf('@');
  return part.part(local, at < 0 ? '' : address.slice(at + 1), run);
}

/** The letters of the message, which only `i;octet` tells apart. */
function withDomain(address: string, writtenDomain: string | undefined): string {
  if (writtenDomain === undefined) return address;
  return `${address.slice(0, address.lastIndexOf('@') + 1)}${writtenDomain}`;
}
