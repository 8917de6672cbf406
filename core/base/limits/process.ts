/** Limits of processes: their config, logs, calls to each other, and their end. */
import { KiB, MiB } from './units.ts';

/** A config file: larger than any written by hand, small enough to read at once. */
export const configBytesMax = 4 * MiB;
/** Nesting of a config file; recursion in its reader stays shallow. */
export const configDepthMax = 64;
/** A secret kept in a file of its own; a longer one is a mistaken path. */
export const secretBytesMax = 64 * KiB;
/** Lines that a log cannot take now, its disk full or its reader stuck; past this they are dropped. */
export const logBufferBytesMax = 16 * MiB;
/** How deep facts of a log line are searched for secrets. */
export const logFactsDepthMax = 6;
/** Calls of one role to another. */
export const callLimits = {
  /** A message of the largest size, with its envelope. */
  frameBytesMax: 128 * MiB,
  /** Calls of one process that wait for their answers. */
  waitingMax: 1000,
  /** Octets of their messages; one call alone may have more. */
  waitingOctetsMax: 128 * MiB,
  answerMs: 60_000,
  /** A role is back within a second or two after it died. */
  awayMs: 10_000,
  reconnectMs: 50,
} as const;

/** How a role ends after SIGTERM; all of it is less than the 35 seconds after which the supervisor kills it. */
export const drainLimits = {
  /** Clients may end what they began. */
  sessionsMs: 27_000,
  /** Then messages that are being decided may still be answered. */
  decisionMs: 4000,
  /** How often connections are looked at that may have become idle. */
  idleSweepMs: 50,
  /** Close hooks of sessions whose message was given up. */
  closeHooksMs: 500,
  /** Then the process ends whatever still runs; the journal has all that was answered with a yes. */
  wholeMs: 34_000,
} as const;
