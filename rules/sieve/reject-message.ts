/** The message that tells a sender of a rejection where the door could not: an MDN. RFC 5429 section 2.2, RFC 8098. */
import { randomBytes } from 'node:crypto';
import { fieldText, threadFields, writeMail } from './generated-mail.ts';
import type { Run } from './run.ts';

export interface RejectMail {
  /** Always the null reverse-path. */
  readonly sender: '';
  readonly recipient: string;
  readonly message: Uint8Array;
}

/** Undefined for a message without a sender: nobody can be told. */
export function rejectMessage(run: Run, reason: string): RejectMail | undefined {
  const { envelope } = run.environment;
  const recipient = envelope.from ?? '';
  if (recipient === '') return undefined;
  const own = run.settings.userAddress ?? envelope.to ?? '';
  const boundary = boundaryFor();
  const { fields } = run.original;
  const header = fields.all.map((field) => field.raw.toString('latin1')).join('');
  const id = fields.rawValues('message-id')[0];
  const report = [
    `Reporting-UA: ${run.settings.hostname ?? 'localhost'}; mailfilter Sieve`,
    ...(envelope.originalTo ? [`Original-Recipient: rfc822; ${envelope.originalTo}`] : []),
    `Final-Recipient: rfc822; ${own}`,
    ...(id === undefined ? [] : [`Original-Message-ID: ${fieldText(id)}`]),
    'Disposition: automatic-action/MDN-sent-automatically; deleted',
  ];
  const message = writeMail(run, {
    fields: [
      ['From', own === '' ? `<postmaster@${run.settings.hostname ?? 'localhost'}>` : `<${own}>`],
      ['To', `<${recipient}>`],
      ['Subject', `Rejected: ${fieldText(fields.values('subject').texts[0] ?? '')}`],
      ...threadFields(run),
      ['Auto-Submitted', 'auto-replied (rejected)'],
      ['Precedence', 'bulk'],
    ],
    isMime: true,
    body: [
      `Content-Type: multipart/report; report-type=disposition-notification; boundary="${boundary}"\r\n\r\n`,
      partOf(
        boundary,
        'text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit',
        `Your message to <${own}> was automatically rejected:\r\n${reason}`,
      ),
      partOf(boundary, 'message/disposition-notification', `${report.join('\r\n')}\r\n`),
      partOf(boundary, 'text/rfc822-headers', header),
      `--${boundary}--\r\n`,
    ].join(''),
  });
  return { sender: '', recipient, message };
}

/** Of a multipart/report. */
export function boundaryFor(): string {
  return `=_${randomBytes(12).toString('hex')}`;
}

/** @param type of the part, with further fields of its header behind it */
export function partOf(boundary: string, type: string, content: string): string {
  return `--${boundary}\r\nContent-Type: ${type}\r\n\r\n${content}\r\n`;
}
