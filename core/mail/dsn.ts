/** Delivery status notifications: bounces, delay warnings, success reports. RFC 3464, RFC 6522, RFC 3461, RFC 6533. */
import { randomBytes } from 'node:crypto';
import { joinAddress, splitAddress } from './address.ts';
import { formatDate, makeMessageId } from './date.ts';
import type { Edit } from './edit.ts';
import type { Envelope, Recipient } from './envelope.ts';
import { formatField } from './format-field.ts';
import { type Rendered, render } from './render.ts';
import type { Reply } from './reply.ts';
import type { MessageSource } from './source.ts';

/** RFC 3464 section 2.3.3. */
export type DsnAction = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded';

export interface DsnRecipient {
  readonly recipient: Recipient;
  readonly action: DsnAction;
  /** What the server that decided answered. */
  readonly reply: Reply;
  /** The server that answered; ourselves when absent. */
  readonly remoteMta?: string;
  /** Epoch milliseconds of the last attempt. */
  readonly lastAttemptAt?: number;
  /** Epoch milliseconds at which we give up; for `delayed`. */
  readonly retryUntil?: number;
}

export interface DsnFacts {
  /** Our own name. */
  readonly reportingMta: string;
  /** Epoch milliseconds. */
  readonly arrivedAt: number;
  readonly now: number;
  /** Of the message reported on; its sender is who the report goes to. */
  readonly envelope: Envelope;
  /** The message reported on, as it stands after `edits`. */
  readonly source: MessageSource;
  readonly edits?: readonly Edit[];
  /** At least one. */
  readonly recipients: readonly DsnRecipient[];
}

/** Messages up to this size are returned whole where RET asks for it or says nothing (RFC 3461 section 4.3). */
export const returnedMessageBytesMax = 64 * 1024;
/** Of a longer header, this much is returned. */
const returnedHeaderBytesMax = 64 * 1024;

const subjects: Readonly<Record<DsnAction, string>> = {
  failed: 'Undelivered mail returned to sender',
  delayed: 'Delivery of your mail is delayed',
  delivered: 'Your mail was delivered',
  relayed: 'Your mail was passed on',
  expanded: 'Your mail was delivered to a list',
};
const sentences: Readonly<Record<DsnAction, string>> = {
  failed: 'could not be delivered to',
  delayed: 'could not yet be delivered (we keep trying, you need not send it again) to',
  delivered: 'was delivered to',
  relayed: 'was passed on to a server that reports no further, for',
  expanded: 'was delivered to the list',
};

/**
 * A complete report as a message with CRLF line ends, to be sent from the null reverse-path to the envelope's sender.
 * It is 7bit unless the envelope is SMTPUTF8, or what is returned or was answered is not.
 * @throws OperationalError `spool-unreadable`.
 */
export function makeDsn(facts: DsnFacts): Uint8Array {
  const boundary = `=_${randomBytes(15).toString('hex')}`;
  const { envelope, now, reportingMta } = facts;
  const utf8 = envelope.smtputf8;
  const field = (name: string, value: string) => formatField(name, value, utf8);
  const part = (type: string, body: Uint8Array) => [
    Buffer.from(`--${boundary}\r\n`),
    ...partHead(type, body),
    Buffer.from('\r\n'),
    body,
    Buffer.from('\r\n'),
  ];
  const returned = returnedPart(facts);
  const subject = subjects[facts.recipients[0]!.action];
  return Buffer.concat([
    field('From', `Mail Delivery System <${joinAddress('MAILER-DAEMON', reportingMta)}>`),
    field('To', `<${envelope.sender}>`),
    field('Subject', subject),
    field('Date', formatDate(now)),
    field('Message-ID', makeMessageId(reportingMta, now)),
    // RFC 3834 section 5: nobody's responder shall answer.
    field('Auto-Submitted', 'auto-replied'),
    field('MIME-Version', '1.0'),
    field('Content-Type', `multipart/report; report-type=delivery-status;\r\n\tboundary="${boundary}"`),
    Buffer.from('\r\nThis is a delivery report in MIME format.\r\n\r\n'),
    ...part('text/plain; charset=utf-8', Buffer.from(explanation(facts), 'utf8')),
    // RFC 6533 section 3: the global form where an address is beyond US-ASCII.
    ...part(`message/${utf8 ? 'global-' : ''}delivery-status`, statusFields(facts)),
    ...part(returned.type, returned.bytes),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

/** Fields of a part; 8bit is said only where it is true, since not every server on the way takes it. */
function partHead(type: string, body: Uint8Array): Buffer[] {
  const eightBit = body.some((octet) => octet > 127);
  return [
    formatField('Content-Type', type),
    ...(eightBit ? [formatField('Content-Transfer-Encoding', '8bit')] : []),
  ];
}

/** The part for people. */
function explanation({ reportingMta, arrivedAt, recipients }: DsnFacts): string {
  const lines = [`This is the mail server at ${reportingMta}.`, ''];
  for (const { recipient, action, reply, remoteMta, retryUntil } of recipients) {
    lines.push(
      `Your mail of ${formatDate(arrivedAt)}`,
      `${sentences[action]}`,
      '',
      `    <${recipient.original}>`,
      '',
      ...(remoteMta ? [`The server ${oneLine(remoteMta)} answered:`] : ['The reason:']),
      ...replyLines(reply).map((line) => `    ${line}`),
      '',
      ...(retryUntil ? [`We keep trying until ${formatDate(retryUntil)}.`, ''] : []),
    );
  }
  return lines.join('\r\n');
}

/** message/delivery-status: one block for the message, one for each recipient. RFC 3464 section 2. */
function statusFields({ reportingMta, arrivedAt, envelope, recipients }: DsnFacts): Buffer {
  const field = (name: string, value: string) => formatField(name, value, envelope.smtputf8);
  const blocks = [
    ...(envelope.envid ? [field('Original-Envelope-Id', printable(envelope.envid))] : []),
    field('Reporting-MTA', `dns; ${reportingMta}`),
    field('Arrival-Date', formatDate(arrivedAt)),
    // RFC 2852 section 5, RFC 4865 section 5.
    ...(envelope.deliverBy ? [field('Deliver-By-Date', formatDate(envelope.deliverBy.until))] : []),
    ...(envelope.futureRelease ? [field('Future-Release-Request', envelope.futureRelease.request)] : []),
  ];
  for (const { recipient, action, reply, remoteMta, lastAttemptAt, retryUntil } of recipients) {
    blocks.push(
      Buffer.from('\r\n'),
      ...(recipient.orcpt ? [field('Original-Recipient', originalRecipient(recipient.orcpt))] : []),
      field('Final-Recipient', `${addressType(recipient.original)}; ${recipient.original}`),
      field('Action', action),
      field('Status', status(reply, action)),
      ...(remoteMta ? [field('Remote-MTA', `dns; ${printable(remoteMta)}`)] : []),
      field('Diagnostic-Code', `smtp; ${replyLines(reply).map(printable).join(' ')}`),
      ...(lastAttemptAt ? [field('Last-Attempt-Date', formatDate(lastAttemptAt))] : []),
      ...(retryUntil ? [field('Will-Retry-Until', formatDate(retryUntil))] : []),
    );
  }
  return Buffer.concat(blocks);
}

/** The message itself, or its header alone, by RET, size and outcome. RFC 3461 section 4.3 and 6.2. */
function returnedPart({ source, edits, envelope, recipients }: DsnFacts) {
  const rendered = renderOrAsReceived(source, edits ?? []);
  const failed = recipients.some(({ action }) => action === 'failed');
  const whole =
    failed &&
    envelope.ret !== 'hdrs' &&
    // RFC 8689 section 5: the report may go without TLS, and must not show what was to be kept secret.
    !envelope.requireTls &&
    envelope.body !== 'binarymime' &&
    rendered.length <= returnedMessageBytesMax &&
    rendered.body.kind === 'memory';
  const header = Buffer.concat(rendered.header);
  const bytes =
    whole && rendered.body.kind === 'memory'
      ? Buffer.concat([header, rendered.body.bytes])
      : cutHeader(header, returnedHeaderBytesMax);
  return { type: returnedType(whole, envelope.smtputf8), bytes };
}

function returnedType(whole: boolean, utf8: boolean): string {
  if (utf8) return whole ? 'message/global' : 'message/global-headers';
  return whole ? 'message/rfc822' : 'text/rfc822-headers';
}

/** An edit that cannot be applied must not keep the sender from hearing of the failure. */
function renderOrAsReceived(source: MessageSource, edits: readonly Edit[]): Rendered {
  try {
    return render(source, edits);
  } catch (error) {
    if (edits.length === 0) throw error;
    return render(source, []);
  }
}

/** As many whole lines as fit. */
function cutHeader(header: Buffer, bytesMax: number): Buffer {
  if (header.length <= bytesMax) return header;
  return header.subarray(0, header.lastIndexOf('\n', bytesMax - 1) + 1);
}

/** The class of the status follows the action. RFC 3464 section 2.3.4. */
function status({ code, enhanced }: Reply, action: DsnAction): string {
  if (enhanced && /^[245]\.\d{1,3}\.\d{1,3}$/.test(enhanced)) return enhanced;
  const family = action === 'failed' ? 5 : action === 'delayed' ? 4 : Math.floor(code / 100) || 2;
  return `${family}.0.0`;
}

function replyLines({ code, enhanced, text }: Reply): string[] {
  const prefix = enhanced ? `${code} ${enhanced}` : `${code}`;
  return text.split('\n').map((line) => `${prefix} ${oneLine(line)}`.trimEnd());
}

/** ORCPT as it is written in a report: the address is xtext-decoded already. RFC 3461 section 6.3. */
function originalRecipient(orcpt: string): string {
  const semicolon = orcpt.indexOf(';');
  return `${printable(orcpt.slice(0, semicolon))}; ${oneLine(orcpt.slice(semicolon + 1))}`;
}

function addressType(address: string): string {
  const { local, domain } = splitAddress(address);
  return /[^\0-\x7f]/.test(local + domain) ? 'utf-8' : 'rfc822';
}

/** Text from elsewhere on one line. */
function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\0-\x1f\x7f]+/g, ' ')
    .trim();
}

function printable(text: string): string {
  return oneLine(text).replace(/[^\x20-\x7e]/g, '?');
}
