/** Addresses of a header as maildrop shows and extracts them. RFC 5322 section 3.4. */
import { type HeaderAddress, parseAddressList } from '../../core/mail/address-list.ts';

/** `Name <address>` each, groups kept. */
export function displayAddresses(value: string): string {
  const pieces: string[] = [];
  let group: string | undefined;
  for (const address of parseAddressList(value)) {
    const isNew = address.group !== group;
    if (isNew && group !== undefined) pieces.push(`${pieces.pop()};`);
    const text = display(address);
    pieces.push(isNew && address.group !== undefined ? `${address.group}: ${text}` : text);
    group = address.group;
  }
  if (group !== undefined) pieces.push(`${pieces.pop()};`);
  // Groups that hold nobody.
  for (const name of emptyGroups(value)) pieces.push(`${name.trim()}: ;`);
  return pieces.length === 0 ? value : pieces.join(', ');
}

/** What stands before each `: ;`, back to a sign that no name has: one look at each character, whatever the text is. */
function emptyGroups(value: string): string[] {
  const names: string[] = [];
  let name = '';
  let start = 0;
  let sign = '';
  for (const { index, 0: next } of value.matchAll(/[,:;<>"@]/g)) {
    const between = value.slice(start, index);
    if (sign === ':' && next === ';' && name !== '' && between.trim() === '') names.push(name);
    name = between;
    start = index + 1;
    sign = next;
  }
  return names;
}

function display(address: HeaderAddress): string {
  const bare = bareAddress(address);
  if (address.name === '') return bare === '' ? '<>' : bare;
  const name = /[()<>[\]:;@\\,."]/.test(address.name)
    ? `"${address.name.replace(/["\\]/g, '\\$&')}"`
    : address.name;
  return bare === '' ? name : `${name} <${bare}>`;
}

/** In the letters of the mail. */
function bareAddress({ address, writtenDomain }: HeaderAddress): string {
  if (address === '') return '';
  if (writtenDomain === undefined) return address;
  return `${address.slice(0, address.lastIndexOf('@') + 1)}${writtenDomain}`;
}

/** Each with a line end behind it. maildropfilter(7), "getaddr". */
export function getAddresses(value: string): string {
  return parseAddressList(value.replace(/^[\w-]+:/, ''))
    .flatMap((address) => bareAddress(address) || address.name.split(/\s+/))
    .filter((text) => text !== '')
    .map((text) => `${text}\n`)
    .join('');
}

/** @param header octets of a mail's header, one a character */
export function hasAddress(header: string, wanted: string): boolean {
  const fields = header.matchAll(/^(?:resent-)?(?:to|cc):((?:.*)(?:\n[ \t].*)*)/gim);
  for (const [, value = ''] of fields) {
    const addresses = parseAddressList(value.replace(/\n/g, ' '));
    if (addresses.some(({ address }) => address.toLowerCase() === wanted.toLowerCase())) return true;
  }
  return false;
}
