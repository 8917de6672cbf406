/** `${hex:40}` and `${unicode:40}` in strings. RFC 5228 section 2.4.2.4. */
import type { Compiler } from '../compiler.ts';
import type { Offset } from '../problems.ts';
import type { Extension } from '../spec.ts';
import { octetsText, textOctets } from '../text.ts';

export const encodedCharacter: Extension = { name: 'encoded-character' };

const blank = '[ \\t\\r\\n]';
const sequence = new RegExp(
  `\\$\\{(?:(hex):(${blank}*[0-9a-f]{1,2}(?:${blank}+[0-9a-f]{1,2})*${blank}*)|(unicode):(${blank}*[0-9a-f]+(?:${blank}+[0-9a-f]+)*${blank}*))\\}`,
  'gi',
);

/** The text with the sequences replaced; what is malformed stays as it is. */
export function readEncodedCharacters(compiler: Compiler, at: Offset, text: string): string {
  const replaced = text.replace(sequence, (_all, hex, pairs, _unicode, points) => {
    compiler.mark('encoded-character');
    const codes = (hex === undefined ? points : pairs).trim().split(/[ \t\r\n]+/) as string[];
    return codes.map((code) => (hex === undefined ? character(compiler, at, code) : octet(code))).join('');
  });
  // Octets that stand beside each other may be one character.
  return replaced === text ? text : octetsText(textOctets(replaced));
}

function octet(code: string): string {
  const value = Number.parseInt(code, 16);
  return String.fromCharCode(value < 0x80 ? value : 0xdc00 + value);
}

function character(compiler: Compiler, at: Offset, code: string): string {
  const value = Number.parseInt(code, 16);
  const isCharacter = value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
  if (isCharacter) return String.fromCodePoint(value);
  const shown = Math.min(value, 0xffffffff).toString(16).padStart(8, '0');
  compiler.problems.error(at, `invalid unicode character 0x${shown} in encoded character substitution`);
  return '';
}
