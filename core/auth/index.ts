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
export {
  type AggregateReport,
  formatAggregateReport,
  type OverrideType,
  type PublishedPolicy,
  type ReportRow,
  reportFileName,
} from './dmarc/aggregate-report.ts';
export type { DmarcMode } from './dmarc/discovery.ts';
export {
  type DmarcQuestion,
  type DmarcResult,
  type DomainResult,
  dmarcAuthResult,
  evaluateDmarc,
} from './dmarc/evaluate.ts';
export type { DmarcPolicy, DmarcRecord } from './dmarc/record.ts';
export { type AuthDns, askDns, boundedDns, DnsTrouble } from './dns.ts';
export { checkHost, type SpfQuestion, type SpfResult, type SpfWord } from './spf/check-host.ts';
export { checkSender, formatReceivedSpf, type SenderCheck, spfAuthResults } from './spf/check-sender.ts';
