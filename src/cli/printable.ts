/** Text of mail and of other hosts for a terminal: it may hold what moves the cursor, sets the title or turns the direction of writing. */

const controls = String.raw`\x7f-\x9f\u202a-\u202e\u2066-\u2069`;
const inLine = new RegExp(`[\\x00-\\x1f${controls}]`, 'g');
const inText = new RegExp(`[\\x00-\\x08\\x0b-\\x1f${controls}]`, 'g');

/** In one line: everything that is no visible character is shown as an escape. */
export function printable(text: string): string {
  return text.replace(inLine, escaped);
}

/** In lines as they are: tabs and line ends, LF or CRLF, stay line ends. */
export function printableText(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(inText, escaped);
}

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
}
