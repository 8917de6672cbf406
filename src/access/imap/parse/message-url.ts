/** IMAP URLs of one message or part, on this server and of this user: `/INBOX;UIDVALIDITY=1/;UID=2/;SECTION=1.MIME`. RFC 5092. */
import { Cursor } from './cursor.ts';
import { type PartialRange, readSectionText, type Section } from './fetch-item.ts';

export interface MessageUrl {
  /** Undefined: the selected one. */
  readonly mailbox: string | undefined;
  readonly uidValidity: number | undefined;
  readonly uid: number;
  readonly section: Section;
  readonly partial: PartialRange | undefined;
}

const form =
  /^(?:imap:\/\/[^/]*)?(?:\/?([^;]*?)(?:;UIDVALIDITY=([1-9]\d{0,9}))?\/?)?;UID=([1-9]\d{0,9})(?:\/;SECTION=([^;]+?))?(?:\/;PARTIAL=(\d{1,10})(?:\.(\d{1,10}))?)?$/i;

/** Undefined for what is no such URL; other servers are not asked, whatever name they give. */
export function readMessageUrl(text: string): MessageUrl | undefined {
  if (text.length > 4096) return undefined;
  const match = form.exec(text);
  if (!match) return undefined;
  const [, mailbox, uidValidity, uid, section, start, length] = match;
  const written = section === undefined ? '' : percentDecoded(section);
  const name = mailbox ? percentDecoded(mailbox) : undefined;
  if (written === undefined || (mailbox && name === undefined)) return undefined;
  try {
    return {
      mailbox: name,
      uidValidity: uidValidity === undefined ? undefined : Number(uidValidity),
      uid: Number(uid),
      section: readSectionText(new Cursor(written)),
      partial:
        start === undefined
          ? undefined
          : { start: Number(start), length: length === undefined ? Number.MAX_SAFE_INTEGER : Number(length) },
    };
  } catch {
    return undefined; // The section breaks the grammar.
  }
}

/** Octets; undefined for a percent sign without its digits. */
function percentDecoded(text: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
