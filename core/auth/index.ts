/** `mailfilter/auth`: SPF, DKIM, DMARC and ARC; DNS, clock and message are handed in. */

export { type SealedSet, type SealOptions, sealArc } from './arc/seal.ts';
export { type ArcResult, arcAuthResult, verifyArc } from './arc/verify.ts';
export { keyRecord, makeSigningKey, readSigningKey, type SigningKeyOptions } from './dkim/private-key.ts';
export { type SigningKey, type SignOptions, signDkim, signingType } from './dkim/sign.ts';
export { isSelector } from './dkim/signature.ts';
export { oversignedNames, signedNames } from './dkim/signed-names.ts';
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
export { hasPublicSuffix, registeredDomain } from './dmarc/public-suffix.ts';
export type { DmarcPolicy, DmarcRecord } from './dmarc/record.ts';
export {
  type GatheredReport,
  gatherReports,
  type ReportState,
  reportKeys,
  reportLimits,
} from './dmarc/report-state.ts';
export { type AuthDns, askDns, boundedDns, DnsTrouble } from './dns.ts';
export { checkHost, type SpfQuestion, type SpfResult, type SpfWord } from './spf/check-host.ts';
export { checkSender, formatReceivedSpf, type SenderCheck, spfAuthResults } from './spf/check-sender.ts';
export { isClientKnown } from './spf/known-client.ts';
