/** ESMTP parameters of MAIL and RCPT, and the xtext in some of them. RFC 5321 section 4.1.2, RFC 3461 section 4. */

/** Keyword in upper case; `true` for one without a value. Undefined when the text breaks the grammar or repeats a keyword. */
export type Parameters = ReadonlyMap<string, string | true>;

const none: Parameters = new Map();

export function parseParameters(text: string): Parameters | undefined {
  if (text === '') return none;
  const parameters = new Map<string, string | true>();
  for (const word of text.split(' ')) {
    if (word === '') continue;
    const equals = word.indexOf('=');
    const keyword = (equals === -1 ? word : word.slice(0, equals)).toUpperCase();
    const value = equals === -1 ? true : word.slice(equals + 1);
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(keyword) || parameters.has(keyword)) return undefined;
    // RFC 6531 section 3.3 lets UTF-8 into the value; "=" turns up unencoded in AUTH and ORCPT of real clients.
    if (value !== true && !/^[^\x00-\x20\x7f-\x9f]+$/.test(value)) return undefined;
    parameters.set(keyword, value);
  }
  return parameters;
}

/** Decodes xtext; undefined for a broken escape or one that hides a control character or non-ASCII octet. */
export function decodeXtext(text: string): string | undefined {
  if (!text.includes('+')) return text;
  if (/\+(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  const decoded = text.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return /[\x00-\x1f\x7f-\x9f]/.test(decoded) ? undefined : decoded;
}

/** ORCPT: `addr-type;xtext`, or with the type `utf-8` the escapes of RFC 6533 section 3. */
export function decodeOrcpt(text: string): string | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9-]*);(.+)$/.exec(text);
  if (match === null) return undefined;
  const [, type = '', encoded = ''] = match;
  const address = type.toLowerCase() === 'utf-8' ? decodeUtf8Address(encoded) : decodeXtext(encoded);
  return address === undefined ? undefined : `${type};${address}`;
}

function decodeUtf8Address(text: string): string | undefined {
  if (/\\(?!x\{[0-9A-Fa-f]{2,6}\})/.test(text)) return decodeXtext(text);
  let broken = false;
  const decoded = text.replace(/\\x\{([0-9A-Fa-f]{2,6})\}/g, (_, hex: string) => {
    const point = Number.parseInt(hex, 16);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      broken = true;
      return '';
    }
    return String.fromCodePoint(point);
  });
  if (broken || /[\x00-\x1f\x7f-\x9f]/.test(decoded)) return undefined;
  return decodeXtext(decoded);
}
