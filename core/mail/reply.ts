/** SMTP replies: code, enhanced status, text. RFC 5321 section 4.2, RFC 2034, RFC 3463. */
export interface Reply {
  /** Three digits. */
  readonly code: number;
  /** `class.subject.detail`; the class always equals the code's first digit. Absent only where RFC 2034 section 4 exempts. */
  readonly enhanced?: string;
  /** May hold several lines, parted by \n. */
  readonly text: string;
}
