/** SMTP replies in a milter's words: `550 5.7.1 text`, several lines with `550-5.7.1 `. */
import { MilterWireError } from './wire-error.ts';

export interface SmtpReply {
  readonly code: number;
  readonly enhanced?: string;
  /** Lines parted by \n. */
  readonly text: string;
}

/** Longest text of a line, so that with code and CRLF it stays within 512 octets. RFC 5321 section 4.5.3.1.5. */
const lineCharactersMax = 480;
/** libmilter takes 32 lines. */
const linesMax = 32;

/** Only 4yz and 5yz can be said by a milter. Control characters become spaces. */
export function formatReplyLines({ code, enhanced, text }: SmtpReply): string {
  const lines = text.split(/\r?\n/).slice(0, linesMax);
  const status = enhanced === undefined ? '' : `${enhanced} `;
  return lines
    .map((line, index) => {
      const separator = index < lines.length - 1 ? '-' : ' ';
      const clean = line.replace(/\p{Cc}/gu, ' ');
      return `${code}${separator}${status}${clean.slice(0, lineCharactersMax)}`;
    })
    .join('\r\n');
}

/** @throws MilterWireError when it is no reply of the classes 4 or 5 */
export function parseReplyLines(lines: string): SmtpReply {
  const texts: string[] = [];
  let code = 0;
  let enhanced: string | undefined;
  for (const line of lines.split(/\r?\n/).filter(Boolean).slice(0, linesMax)) {
    const match = /^([45]\d\d)(?:[ -](?:([45]\.\d{1,3}\.\d{1,3})(?: |$))?(.*))?$/s.exec(line);
    if (!match) throw new MilterWireError(`not a reply: ${line.slice(0, 80)}`);
    code = Number(match[1]);
    enhanced ??= match[2];
    texts.push(match[3] ?? '');
  }
  if (code === 0) throw new MilterWireError('an empty reply');
  // The class of an enhanced status is the code's. RFC 2034 section 4.
  const status = enhanced?.startsWith(String(code)[0]!) ? enhanced : undefined;
  return { code, ...(status !== undefined && { enhanced: status }), text: texts.join('\n') };
}
