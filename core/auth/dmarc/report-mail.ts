/** The mail that carries an aggregate report, and who may be sent one. RFC 9990 sections 3.5 and 4. */
import { gzipSync } from 'node:zlib';
import { formatDate, makeMessageId } from '../../mail/date.ts';
import { isWithin } from '../dkim/signature.ts';
import { type AuthDns, askDns } from '../dns.ts';
import { type AggregateReport, formatAggregateReport, reportFileName } from './aggregate-report.ts';
import { PolicyTree } from './discovery.ts';
import { isDmarcRecord } from './record.ts';

export interface ReportMail {
  readonly from: string;
  readonly to: string;
  /** Our host, which names the report's sender. */
  readonly hostname: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** The whole message, CRLF line ends. */
export function makeReportMail(report: AggregateReport, { from, to, hostname, now }: ReportMail): Buffer {
  const { policy, id } = report;
  const attachment = gzipSync(formatAggregateReport(report))
    .toString('base64')
    .replace(/.{76}(?=.)/g, '$&\r\n');
  const lines = [
    `From: <${from}>`,
    `To: <${to}>`,
    // RFC 9990 section 3.5.3
    `Subject: Report Domain: ${policy.domain} Submitter: ${hostname}\r\n Report-ID: ${id}`,
    `Date: ${formatDate(now)}`,
    `Message-ID: ${makeMessageId(hostname, now)}`,
    'MIME-Version: 1.0',
    'Auto-Submitted: auto-generated',
    'Content-Type: application/gzip',
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment;\r\n filename="${reportFileName(report, hostname)}"`,
    '',
    attachment,
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

/**
 * True where the address is of the domain's own organization, or its domain says that it takes such reports: else
 * anybody could have reports sent to anybody.
 * @throws DnsTrouble
 */
export async function takesReports(address: string, domain: string, dns: AuthDns): Promise<boolean> {
  const host = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
  const organizational = await new PolicyTree(dns, 'rfc9989').organizationalDomain(domain);
  if (isWithin(host, organizational)) return true;
  const records = await askDns(() => dns.txt(`${domain}._report._dmarc.${host}`));
  return records.some(isDmarcRecord);
}
