/** xtext: text in the value of an ESMTP parameter, and ORCPT, which is made of it. RFC 3461 section 4, RFC 6533 section 3. */

/** Printable ASCII but for `+` and `=` stands for itself, any other octet of the UTF-8 text as `+` and two digits. */
export function encodeXtext(text: string): string {
  return [...Buffer.from(text)]
    .map((octet) =>
      octet > 32 && octet < 127 && octet !== 0x2b && octet !== 0x3d
        ? String.fromCharCode(octet)
        : `+${octet.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

/** Undefined for a broken escape or one that hides a control character or non-ASCII octet. */
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

/** What decodeOrcpt undoes, in the form of the type utf-8 that every server takes. RFC 6533 section 3. */
export function encodeOrcpt(orcpt: string): string {
  const semicolon = orcpt.indexOf(';');
  const [type, address] = [orcpt.slice(0, semicolon), orcpt.slice(semicolon + 1)];
  if (!/[^\0-\x7f]/.test(address)) return `${type};${encodeXtext(address)}`;
  const escaped = [...address].map((character) => {
    const code = character.codePointAt(0)!;
    if (code > 126) return `\\x{${code.toString(16).toUpperCase()}}`;
    return code > 32 && !'+=\\'.includes(character) ? character : `\\x{${code.toString(16).toUpperCase()}}`;
  });
  return `utf-8;${escaped.join('')}`;
}
