/** The protocols of the access role, one line each: what a listener of that name speaks. */
import type { ListenerProtocol } from '../../core/config/config.ts';
import { imap } from './imap/protocol.ts';
import { managesieve } from './managesieve/index.ts';
import { pop3 } from './pop3/protocol.ts';
import type { Protocol } from './protocol.ts';

/** Those of config's `isAccessProtocol` that this version speaks. */
export const protocols: Partial<Record<ListenerProtocol, Protocol>> = { imap, managesieve, pop3 };
