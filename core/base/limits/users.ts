/** Limits of users and their passwords. */
import { MiB } from './units.ts';

/** Password hashes worked out at once: they share the thread pool with fdatasync. */
export const passwordChecksAtOnce = 2;
/** Logins that may wait for one of those; at 50 ms a hash the last waits five seconds. */
export const passwordChecksWaitingMax = 200;
/** Of those, logins of one client: past it that client alone is told to come back. */
export const passwordChecksWaitingPerClientMax = 20;
/** How long a right password is remembered, so that a busy client is not hashed at each login. */
export const passwordMemoryMs = 120_000;
export const passwordMemoryEntriesMax = 10_000;
/** Octets of a password: RFC 4616 section 2 allows 255 characters of UTF-8; a passphrase fits. */
export const passwordBytesMax = 1024;
/** A users file of a hundred thousand users. */
export const usersFileBytesMax = 64 * MiB;
