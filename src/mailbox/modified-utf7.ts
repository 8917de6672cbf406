/** Modified UTF-7, the encoding of mailbox names on disk and in IMAP4rev1. RFC 3501 section 5.1.3. */

/** @param reserved further printable characters that must not stand for themselves */
export function encodeModifiedUtf7(text: string, reserved = ''): string {
  let encoded = '';
  let pending = '';
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index]!;
    const printable = char >= ' ' && char <= '~' && !reserved.includes(char);
    if (!printable) {
      pending += char;
      continue;
    }
    encoded += shifted(pending) + (char === '&' ? '&-' : char);
    pending = '';
  }
  return encoded + shifted(pending);
}

/** @returns undefined when the text is not modified UTF-7 */
export function decodeModifiedUtf7(text: string): string | undefined {
  let decoded = '';
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index]!;
    if (char < ' ' || char > '~') return undefined;
    if (char !== '&') {
      decoded += char;
      continue;
    }
    const end = text.indexOf('-', index);
    if (end < 0) return undefined;
    const base64 = text.slice(index + 1, end);
    const part = base64 === '' ? '&' : unshifted(base64);
    if (part === undefined) return undefined;
    decoded += part;
    index = end;
  }
  return decoded;
}

function shifted(text: string): string {
  if (text === '') return '';
  const base64 = Buffer.from(text, 'utf16le').swap16().toString('base64');
  return `&${base64.replace(/=+$/, '').replaceAll('/', ',')}-`;
}

function unshifted(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+,]+$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  return bytes.length === 0 || bytes.length % 2 !== 0 ? undefined : bytes.swap16().toString('utf16le');
}
