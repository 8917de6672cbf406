/** The letters and bits of the milter protocol, versions 2 to 6, as libmilter's mfdef.h and mfapi.h name them. */

/** Commands, MTA to filter: one octet after the length. */
export const commandLetters = {
  abort: 'A',
  body: 'B',
  connect: 'C',
  macros: 'D',
  endOfMessage: 'E',
  helo: 'H',
  /** QUIT_NC: the session is over, the socket stays for the next one. Version 6. */
  quitNewConnection: 'K',
  header: 'L',
  mail: 'M',
  endOfHeaders: 'N',
  negotiate: 'O',
  quit: 'Q',
  rcpt: 'R',
  /** Version 4. */
  data: 'T',
  /** A command the MTA does not know. Version 3. */
  unknown: 'U',
} as const;
export type CommandType = keyof typeof commandLetters;

/** Replies, filter to MTA. */
export const replyLetters = {
  addRecipient: '+',
  deleteRecipient: '-',
  /** With ESMTP arguments. Version 6. */
  addRecipientWithArguments: '2',
  /** Shut the session down with 421. */
  shutdown: '4',
  accept: 'a',
  replaceBody: 'b',
  continue: 'c',
  discard: 'd',
  /** Version 6. */
  changeSender: 'e',
  connectionFailed: 'f',
  addHeader: 'h',
  /** Version 3. */
  insertHeader: 'i',
  changeHeader: 'm',
  negotiate: 'O',
  progress: 'p',
  quarantine: 'q',
  reject: 'r',
  /** No more of this step: no further body chunks. Version 6. */
  skip: 's',
  tempfail: 't',
  replyCode: 'y',
} as const;
export type ReplyType = keyof typeof replyLetters;

/** What a filter may ask of the MTA (SMFIF_*). */
export const actionBits = {
  addHeaders: 0x1,
  changeBody: 0x2,
  addRecipient: 0x4,
  deleteRecipient: 0x8,
  changeHeaders: 0x10,
  quarantine: 0x20,
  changeSender: 0x40,
  addRecipientWithArguments: 0x80,
  /** The filter names the macros it wants. */
  setMacros: 0x100,
} as const;
export type ActionName = keyof typeof actionBits;

/** Steps that can be left out, and replies that need not be waited for (SMFIP_*). */
export const stepBits = {
  noConnect: 0x1,
  noHelo: 0x2,
  noMail: 0x4,
  noRcpt: 0x8,
  noBody: 0x10,
  noHeaders: 0x20,
  noEndOfHeaders: 0x40,
  noReplyHeader: 0x80,
  noUnknown: 0x100,
  noData: 0x200,
  /** The filter may answer `skip`. */
  skip: 0x400,
  /** The filter wants to see recipients that the MTA refused. */
  rejectedRecipients: 0x800,
  noReplyConnect: 0x1000,
  noReplyHelo: 0x2000,
  noReplyMail: 0x4000,
  noReplyRcpt: 0x8000,
  noReplyData: 0x1_0000,
  noReplyUnknown: 0x2_0000,
  noReplyEndOfHeaders: 0x4_0000,
  noReplyBody: 0x8_0000,
  /** Header values keep the white space after the colon, in both directions. */
  leadingSpace: 0x10_0000,
} as const;
export type StepName = keyof typeof stepBits;

/** Places of the list of macros in a negotiation (SMFIM_*). */
export const macroStages = {
  connect: 0,
  helo: 1,
  mail: 2,
  rcpt: 3,
  data: 4,
  endOfMessage: 5,
  endOfHeaders: 6,
} as const;
export type MacroStage = keyof typeof macroStages;

/** The newest version spoken here, and the oldest. */
export const versionMax = 6;
export const versionMin = 2;

/** Octets of one body chunk, either way: MILTER_CHUNK_SIZE. */
export const bodyChunkBytes = 65_535;
