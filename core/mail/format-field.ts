/** Makes the octets of a header field that we add: checked, encoded, folded. RFC 5322 section 2.2, RFC 2047, RFC 6532. */
import { OperationalError } from '../base/errors.ts';
import { encodeAddressField, isAddressField } from './encode-address-field.ts';
import { encodeWords } from './encoded-word.ts';

/** RFC 5322 section 2.1.1: a line must not be longer than this, line end not counted. */
const lineOctetsMax = 998;
/** Longer names are nobody's; with them the value would not fit on the first line. */
const nameOctetsMax = 200;

/** What most fields are, and all that is wrong with a field excluded: US-ASCII, in lines that need no folding. */
const plainValueMax = 900;
const plainName = /^[\x21-\x39\x3b-\x7e]{1,200}$/;
const plainLine = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const plainLines = /^[\x21-\x7e][\t\x20-\x7e]*(?:\r\n[ \t][\x21-\x7e][\t\x20-\x7e]*)*$/;

function isPlain(name: string, value: string): boolean {
  if (value.length > plainValueMax || !plainName.test(name)) return false;
  return plainLine.test(value) || (plainLines.test(value) && !/[ \t](?:\r|$)/.test(value));
}

/** Why a field cannot be written, in a sentence for the plugin's author; undefined when it can. */
export function checkField(name: string, value: string): string | undefined {
  if (isPlain(name, value)) return undefined;
  // RFC 5322 section 3.6.8: printable US-ASCII but for the colon.
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name))
    return `header name ${quote(name)} is not printable US-ASCII without a colon`;
  if (name.length > nameOctetsMax)
    return `header name ${quote(name)} is longer than ${nameOctetsMax} characters`;
  if (value.includes('\0')) return `value of ${name} holds a NUL`;
  if (/\r(?!\n)/.test(value)) return `value of ${name} holds a bare CR`;
  if (/\n(?![ \t]|$)/.test(value.replace(/(\r?\n)+$/, ''))) {
    return `value of ${name} holds a line end that no white space follows: it would begin another field`;
  }
  return undefined;
}

/**
 * The field's octets with CRLF at the end. Folds of the value (a line end followed by white space) become CRLF folds,
 * lines over 998 octets are folded at white space, or within a word where it has none. Text beyond US-ASCII is
 * written as UTF-8 when `smtputf8`, else as encoded words; in address fields only where the grammar has text.
 * @throws OperationalError `bad-edit` where checkField has a reason.
 */
export function formatField(name: string, value: string, smtputf8 = false): Buffer {
  if (isPlain(name, value)) return Buffer.from(`${name}: ${value}\r\n`, 'latin1');
  const problem = checkField(name, value);
  if (problem) throw badEdit(problem);
  const encoded = smtputf8 ? value.toWellFormed() : encodeValue(name, value);
  const [first = '', ...rest] = foldedLines(encoded);
  const head = first === '' ? `${name}:` : `${name}: ${first}`;
  const lines = [head, ...rest].flatMap(foldLongLine);
  return Buffer.from(`${lines.join('\r\n')}\r\n`, 'utf8');
}

export function badEdit(reason: string): OperationalError {
  return new OperationalError('bad-edit', reason, { temporary: true });
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 60));
}

/** Lines of a value; those of white space alone go, since some readers take them for the end of the header. */
function foldedLines(value: string): string[] {
  const [first = '', ...rest] = value.split(/\r?\n/);
  const continued = rest.filter((line) => /[^ \t]/.test(line)).map(trimEnd);
  return [trimEnd(first).replace(/^[ \t]+/, ''), ...continued];
}

/** Spaces and tabs at the end, in linear time. */
function trimEnd(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  return line.slice(0, end);
}

function foldLongLine(line: string): string[] {
  const lines: string[] = [];
  let rest = line;
  while (Buffer.byteLength(rest, 'utf8') > lineOctetsMax) {
    const cut = foldPoint(rest);
    lines.push(trimEnd(rest.slice(0, cut)));
    const tail = rest.slice(cut);
    rest = tail.startsWith(' ') || tail.startsWith('\t') ? tail : ` ${tail}`;
  }
  lines.push(rest);
  return lines;
}

/** Index at which to break a line that is too long: the last white space that fits, else a character border. */
function foldPoint(line: string): number {
  let octets = 0;
  let index = 0;
  let space = 0;
  let seenText = false;
  for (const character of line) {
    octets += Buffer.byteLength(character, 'utf8');
    if (octets > lineOctetsMax) break;
    if (character === ' ' || character === '\t') {
      if (seenText) space = index;
    } else {
      seenText = true;
    }
    index += character.length;
  }
  return space > 0 ? space : index;
}

function encodeValue(name: string, value: string): string {
  if (/^[\0-\x7f]*$/.test(value)) return value;
  if (isAddressField(name)) return encodeAddressField(value.toWellFormed());
  // From the first word that needs it to the last, so that white space between them survives decoding.
  const words = value.split(/([ \t\r\n]+)/);
  const needs = (word: string) => /[^\0-\x7f]/.test(word);
  const first = words.findIndex(needs);
  const last = words.findLastIndex(needs);
  const before = words.slice(0, first).join('');
  const text = words
    .slice(first, last + 1)
    .join('')
    .replace(/\r?\n/g, '');
  return before + encodeWords(text, before.length + name.length + 2) + words.slice(last + 1).join('');
}
