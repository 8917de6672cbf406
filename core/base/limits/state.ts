/** Limits of what plugins keep. */
import { KiB, MiB } from './units.ts';

/** A plugin's state key, in octets: a hash or an address, not a message. */
export const stateKeyBytesMax = 1024;
/** Keys of one question: the tokens of a message, for a user and for the site, fit in. */
export const stateKeysMax = 4000;
/** A plugin's state value, in octets of JSON. */
export const stateValueBytesMax = 256 * KiB;
/** All state of an installation on disk; past it writes fail and say so. */
export const stateBytesMax = 4096 * MiB;
/** Keys that one `list` answers. */
export const stateListMax = 10_000;
/** Keys of all plugins in the memory engine; about 200 octets each. */
export const stateMemoryEntriesMax = 500_000;
/** Expired keys are removed this often, this many at a time: a few milliseconds. */
export const stateSweepMs = 5000;
export const stateSweepRows = 2000;
