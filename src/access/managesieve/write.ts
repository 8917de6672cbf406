/** Responses of ManageSieve as text. RFC 5804 sections 1.2, 1.3 and 4. */
import { scriptLimits } from '../../../core/base/limits/rules.ts';

export type Status = 'OK' | 'NO' | 'BYE';

export interface Response {
  readonly status: Status;
  /** `QUOTA/MAXSIZE`, `WARNINGS`, `TAG "..."` ... without the parentheses. RFC 5804 section 1.3. */
  readonly code?: string;
  /** For people, UTF-8. */
  readonly text?: string;
}

/** With its line end. */
export function formatResponse({ status, code, text }: Response): string {
  return `${status}${code === undefined ? '' : ` (${code})`}${text === undefined ? '' : ` ${formatString(text)}`}\r\n`;
}

/** Quoted where that can be, else a literal. */
export function formatString(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= scriptLimits.quotedBytesMax && !/[\0\r\n]/.test(text)) {
    return `"${text.replace(/["\\]/g, '\\$&')}"`;
  }
  return `{${bytes}}\r\n${text}`;
}
