/** Whose name stands in a message: every address in every From and Sender is to be one of the user's own. */
import { type HeaderAddress, parseAddressList } from '../../core/mail/address-list.ts';
import type { House } from './house.ts';
import { sessionUser } from './session-user.ts';

/**
 * @param sessionAddress canonical, of the user who writes
 * @param values of all fields of that name, in order
 * @returns what is wrong, in words for the client; undefined where nothing is, or nobody is named
 */
export function foreignAuthor(
  house: House,
  sessionAddress: string,
  values: (lowerName: string) => readonly string[],
): string | undefined {
  const user = sessionUser(house, sessionAddress);
  for (const name of ['From', 'Sender']) {
    for (const value of values(name.toLowerCase())) {
      const authors = parseAddressList(value);
      const foreign = authors.find(({ address }) => !user || !house.users!.owns(user, address));
      if (foreign) return `${name} address <${foreign.address}> is not one of ${sessionAddress}`;
      if (authors.length === 0 || isAmbiguous(value, authors)) return `${name} cannot be read`;
    }
  }
  return undefined;
}

/** Broken in a way that lets another program read another address out of it. */
function isAmbiguous(value: string, authors: readonly HeaderAddress[]): boolean {
  return authors.some(({ valid }) => !valid) && value.split('@').length - 1 > authors.length;
}
