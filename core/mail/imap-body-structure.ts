/** BODY and BODYSTRUCTURE of a message. RFC 9051 section 7.5.2. */
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
  } else if (part.type === 'TEXT') {
    fields.push(String(part.lines));
  }
  if (extended) fields.push(nstring(part.md5), ...extensionTexts(part));
  return `(${fields.join(' ')})`;
}

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

function parametersText(parameters: MimePart['parameters']): string {
  if (parameters.length === 0) return 'NIL';
  return `(${parameters.map(([name, value]) => `${imapString(name)} ${imapString(value)}`).join(' ')})`;
}
