/** `mailfilter/auth`: message authentication without I/O of its own; DNS, clock and message are handed in. */

export { type SigningKey, type SignOptions, signDkim, signingType } from './dkim/sign.ts';
export { isSelector } from './dkim/signature.ts';
export {
  type AuthMessage,
  type DkimOptions,
  type DkimResult,
  dkimAuthResults,
  verifyDkim,
} from './dkim/verify.ts';
export { type AuthDns, askDns, boundedDns, DnsTrouble } from './dns.ts';
export { checkHost, type SpfQuestion, type SpfResult, type SpfWord } from './spf/check-host.ts';
export { checkSender, formatReceivedSpf, type SenderCheck, spfAuthResults } from './spf/check-sender.ts';
