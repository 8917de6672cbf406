/** Replies of an SMTP server: code, enhanced status, text. RFC 5321 section 4.2, RFC 2034. */
import { OperationalError } from '../base/errors.ts';

/** What a server answered: lines parted by \n, code and enhanced status taken off. */
export interface SmtpReply {
  readonly code: number;
  /** RFC 3463, where the server gives one. */
  readonly enhanced?: string;
  readonly text: string;
}

/** @param lines of one reply, codes included; at least one */
export function parseReply(lines: readonly string[]): SmtpReply {
  const texts = lines.map((line) => line.slice(4));
  const last = lines.at(-1) ?? '';
  const enhanced = /^[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)/.exec(last.slice(4))?.[0];
  const text = texts
    .map((line) => (enhanced === undefined ? line : line.replace(`${enhanced} `, '')))
    .join('\n');
  return { code: Number(last.slice(0, 3)), ...(enhanced === undefined ? {} : { enhanced }), text };
}

export function isPositive(reply: SmtpReply): boolean {
  return reply.code >= 200 && reply.code < 300;
}

/** `550 5.1.1 no such user`, in one line. */
export function formatReply({ code, enhanced, text }: SmtpReply): string {
  return [code, ...(enhanced === undefined ? [] : [enhanced]), text.replaceAll('\n', ' ')].join(' ');
}

/** The reply as an error `smtp-refused`, its parts in the facts. */
export function refusal(reply: SmtpReply, what: string): OperationalError {
  return new OperationalError('smtp-refused', `the server refused ${what}: ${formatReply(reply)}`, {
    temporary: reply.code < 500,
    facts: { stage: what, code: reply.code, enhanced: reply.enhanced ?? null, text: reply.text },
  });
}

/** @throws OperationalError `smtp-refused` */
export function refuseUnless(reply: SmtpReply, what: string): void {
  if (!isPositive(reply)) throw refusal(reply, what);
}
