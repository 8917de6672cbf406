/** What rules are shown of a parsed message: bounded text, and the names and types of attachments. */
import { htmlToText } from 'mailfilter/mail';
import type { ParsedMessage } from 'mailfilter/plugin';
import type { RuleContent } from '../../rules/json/rules.ts';

export interface Content extends RuleContent {
  /** Some text went on past the limit. */
  readonly truncated: boolean;
}

/** @param textBytesMax octets of UTF-8 of each of the two texts */
export function contentOf(parsed: ParsedMessage, textBytesMax: number): Content {
  const plain = cut((parsed.text ?? '').replace(/\r\n?/g, '\n'), textBytesMax);
  // One character is one octet at least, so that many characters are enough whatever they are.
  const html = cut(htmlToText(parsed.html || '', textBytesMax + 1), textBytesMax);
  return {
    plain: plain.text,
    html: html.text,
    attachments: parsed.attachments.map(({ filename, contentType }) => ({
      // Windows ignores dots and spaces at the end of a name, and so runs `a.exe. `.
      name: (filename ?? '').replace(/[. ]{1,100}$/, ''),
      type: contentType.toLowerCase(),
    })),
    truncated: plain.truncated || html.truncated,
  };
}

function cut(text: string, bytesMax: number): { text: string; truncated: boolean } {
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return { text, truncated: false };
  const octets = Buffer.from(text.slice(0, bytesMax));
  // A character that the limit splits comes out as U+FFFD.
  const kept = octets
    .subarray(0, bytesMax)
    .toString('utf8')
    .replace(/\ufffd$/, '');
  return { text: kept, truncated: true };
}
