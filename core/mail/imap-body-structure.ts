/** BODY and BODYSTRUCTURE of a message. RFC 9051 section 7.5.2, RFC 2231 section 8. */
import { envelopeText } from './imap-envelope.ts';
import { imapString, nstring } from './imap-text.ts';
import { type MimePart, partHeader } from './mime-structure.ts';

/** Parenthesised, octets as Latin-1. @param extended with the extension data that BODYSTRUCTURE has and BODY has not */
export function bodyStructureText(message: Buffer, part: MimePart, extended: boolean): string {
  if (part.parts) return multipartText(message, part, part.parts, extended);
  const fields = [
    imapString(part.type),
    imapString(part.subtype),
    parametersText(part.parameters),
    nstring(part.id),
    nstring(part.description),
    imapString(part.encoding),
    String(part.octets),
  ];
  if (part.message) {
    fields.push(envelopeText(partHeader(message, part.message)));
    fields.push(bodyStructureText(message, part.message, extended));
    fields.push(String(part.lines));
  } else if (isMessageType(part)) {
    // The grammar has an envelope and a body here: one that is encoded tells of none.
    fields.push(
      noEnvelope,
      extended ? `(${emptyText} NIL NIL NIL NIL)` : `(${emptyText})`,
      String(part.lines),
    );
  } else if (part.type === 'TEXT') {
    fields.push(String(part.lines));
  }
  if (extended) fields.push(nstring(part.md5), ...extensionTexts(part));
  return `(${fields.join(' ')})`;
}

function isMessageType({ type, subtype }: MimePart): boolean {
  return type === 'MESSAGE' && (subtype === 'RFC822' || subtype === 'GLOBAL');
}

const noEnvelope = '(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)';
const emptyText = '"TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0';

function multipartText(
  message: Buffer,
  part: MimePart,
  parts: readonly MimePart[],
  extended: boolean,
): string {
  const inside = parts.map((each) => bodyStructureText(message, each, extended)).join('');
  const fields = [`${inside} ${imapString(part.subtype)}`];
  if (extended) fields.push(parametersText(part.parameters), ...extensionTexts(part));
  return `(${fields.join(' ')})`;
}

function extensionTexts({ disposition, languages, location }: MimePart): string[] {
  return [
    disposition ? `(${imapString(disposition.value)} ${parametersText(disposition.parameters)})` : 'NIL',
    languagesText(languages),
    nstring(location),
  ];
}

function languagesText(languages: readonly string[]): string {
  if (languages.length === 0) return 'NIL';
  return languages.length === 1 ? imapString(languages[0]!) : `(${languages.map(imapString).join(' ')})`;
}

function parametersText(written: MimePart['parameters']): string {
  const parameters = written.some(([name]) => name.includes('*')) ? joined(written) : written;
  if (parameters.length === 0) return 'NIL';
  return `(${parameters.map(([name, value]) => `${imapString(name)} ${imapString(value)}`).join(' ')})`;
}

interface Piece {
  readonly index: number;
  readonly value: string;
  readonly isExtended: boolean;
}

/** RFC 2231 section 8: the server puts continuations together; charset and language stay as they are written. */
function joined(written: MimePart['parameters']): MimePart['parameters'] {
  const pieces = new Map<string, Piece[]>();
  const rest: (readonly [string, string])[] = [];
  for (const [name, value] of written) {
    const match = /^([^*]+)\*(0|[1-9]\d{0,3})(\*?)$/.exec(name);
    if (!match) {
      rest.push([name, value]);
      continue;
    }
    const list = pieces.get(match[1]!) ?? [];
    list.push({ index: Number(match[2]), value, isExtended: match[3] === '*' });
    pieces.set(match[1]!, list);
  }
  return [...rest, ...[...pieces].map(([name, list]) => joinedPieces(name, list))];
}

function joinedPieces(name: string, pieces: readonly Piece[]): readonly [string, string] {
  const sorted = pieces.toSorted((a, b) => a.index - b.index);
  if (!sorted.some(({ isExtended }) => isExtended)) return [name, sorted.map(({ value }) => value).join('')];
  const charset = sorted[0]!.isExtended ? '' : "''";
  return [`${name}*`, charset + sorted.map(extendedValue).join('')];
}

/** Octets that a plain piece has as they are cannot stand so beside others that are encoded. RFC 2231 section 7. */
function extendedValue({ value, isExtended }: Piece): string {
  if (isExtended) return value;
  return value.replace(
    /[^\w!#$&+.^`{|}~-]/g,
    (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
