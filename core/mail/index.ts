/** `mailfilter/mail`: what plugins need to read and write mail. */
export {
  type AddressError,
  type AddressOptions,
  compareForm,
  formatPath,
  isAddress,
  isDomain,
  joinAddress,
  type Mailbox,
  normaliseDomain,
  type Path,
  parseMailbox,
  parsePath,
  splitAddress,
} from './address.ts';
export { type HeaderAddress, parseAddressList } from './address-list.ts';
export {
  type AuthenticationResults,
  type AuthResult,
  formatAuthenticationResults,
  isOurs,
  parseAuthenticationResults,
} from './authentication-results.ts';
export { formatDate, makeMessageId, parseDate } from './date.ts';
export { type DsnAction, type DsnFacts, type DsnRecipient, makeDsn } from './dsn.ts';
export type { Edit, EditType } from './edit.ts';
export {
  addHeader,
  addRecipient,
  changeHeader,
  changeSender,
  deleteHeader,
  deleteRecipient,
  insertHeader,
  replaceBody,
} from './edits.ts';
export { decodeWords, encodeWords } from './encoded-word.ts';
export type { DsnNotify, Envelope, MailOrigin, Recipient, RecipientId } from './envelope.ts';
export { type MailFields, mailWords, type RcptFields, rcptWords } from './esmtp-parameters.ts';
export { decodeEntities, htmlToText } from './html-text.ts';
export type { HeaderField, Headers, Message, ParsedMessage, TooLarge } from './message.ts';
export { decodeTransfer } from './mime-decode.ts';
export {
  formatReceived,
  parseReceived,
  type ReceivedClause,
  type ReceivedFacts,
  type ReceivedField,
  receivedClause,
  receivedFromIp,
  writeReceived,
} from './received.ts';
export type { Reply } from './reply.ts';
export * from './safe-pattern.ts';
