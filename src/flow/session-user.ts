/** The user of a session as the users file has it now: who was removed or disabled since the login is nobody any more. */
import type { User } from '../users/users.ts';
import type { House } from './house.ts';

/** @param address canonical, as the login gave it; a subaddress of somebody else does not count */
export function sessionUser({ users }: House, address: string): User | undefined {
  const user = users?.find(address)?.user;
  return user?.address === address && !user.disabled ? user : undefined;
}
