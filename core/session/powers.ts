/** The doors, the hooks each raises, and what each can still refuse or change: one table, asked by check and by flow. */

export type DoorName =
  | 'smtp'
  | 'submission'
  | 'lmtp'
  | 'milter'
  | 'content-filter'
  | 'proxy-filter'
  | 'opensmtpd-filter'
  | 'pipe'
  | 'mda';

/** Hooks in milter order, then those after acceptance. */
export const hookNames = [
  'connect',
  'helo',
  'auth',
  'mailFrom',
  'rcptTo',
  'data',
  'headers',
  'message',
  'deliver',
  'send',
  'moved',
  'close',
] as const;
export type HookName = (typeof hookNames)[number];

/** What a door may be able to do for a plugin. */
export const powerNames = [
  /** Answer 4yz or 5yz to the client at the stage the hook runs. */
  'refuse',
  /** Answer for one recipient at RCPT. */
  'refuseRecipient',
  /** Answer for one recipient after the message (LMTP, PRDR). */
  'refuseRecipientAfterData',
  /** Change, add and delete header fields. */
  'editHeaders',
  'replaceBody',
  'changeSender',
  'addRecipient',
  'deleteRecipient',
  /** Edits that differ by recipient. */
  'editPerRecipient',
  /** Drop after a positive answer. */
  'discard',
  'quarantine',
  /** The Received field of this hop is ours and visible to hooks. */
  'ownReceived',
] as const;
export type Power = (typeof powerNames)[number];

export interface DoorPowers {
  readonly hooks: readonly HookName[];
  readonly powers: readonly Power[];
}

const smtpHooks: readonly HookName[] = [
  'connect',
  'helo',
  'auth',
  'mailFrom',
  'rcptTo',
  'data',
  'headers',
  'message',
  'deliver',
  'close',
];
const serverPowers: readonly Power[] = [
  'refuse',
  'refuseRecipient',
  'editHeaders',
  'replaceBody',
  'changeSender',
  'addRecipient',
  'deleteRecipient',
  'editPerRecipient',
  'discard',
  'quarantine',
  'ownReceived',
];

export const doors: Readonly<Record<DoorName, DoorPowers>> = {
  smtp: { hooks: smtpHooks, powers: serverPowers },
  submission: { hooks: smtpHooks, powers: serverPowers },
  lmtp: {
    hooks: ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'headers', 'message', 'deliver', 'close'],
    powers: [...serverPowers, 'refuseRecipientAfterData'],
  },
  // The MTA's own first Received is not yet in the message that a milter sees, and it has one answer for all recipients.
  milter: {
    hooks: ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'headers', 'message', 'close'],
    powers: [
      'refuse',
      'refuseRecipient',
      'editHeaders',
      'replaceBody',
      'changeSender',
      'addRecipient',
      'deleteRecipient',
      'discard',
      'quarantine',
    ],
  },
  'content-filter': {
    hooks: ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'headers', 'message', 'close'],
    powers: [...serverPowers],
  },
  'proxy-filter': {
    hooks: ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'headers', 'message', 'close'],
    powers: [
      'refuse',
      'refuseRecipient',
      'editHeaders',
      'replaceBody',
      'changeSender',
      'addRecipient',
      'deleteRecipient',
      'discard',
      'quarantine',
      'ownReceived',
    ],
  },
  // smtpd writes its Received behind its filters, and knows no way to drop mail or to change the envelope after DATA.
  'opensmtpd-filter': {
    hooks: ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'headers', 'message', 'close'],
    powers: ['refuse', 'refuseRecipient', 'editHeaders', 'replaceBody'],
  },
  pipe: {
    hooks: ['mailFrom', 'rcptTo', 'headers', 'message'],
    powers: ['refuse', 'editHeaders', 'replaceBody', 'discard'],
  },
  mda: {
    hooks: ['mailFrom', 'rcptTo', 'headers', 'message', 'deliver'],
    powers: ['refuse', 'editHeaders', 'replaceBody', 'discard', 'editPerRecipient'],
  },
};

const sentElsewhere: ReadonlySet<DoorName> = new Set([
  'milter',
  'content-filter',
  'proxy-filter',
  'opensmtpd-filter',
  'pipe',
]);

/** True where another MTA sends the message on: what signs it does so at `message`, for no `send` follows. */
export function isSentElsewhere(door: DoorName): boolean {
  return sentElsewhere.has(door);
}
