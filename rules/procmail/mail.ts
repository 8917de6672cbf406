/** A mail as procmail sees it: header and body apart, the header's folds undone for expressions. */

export interface Mail {
  /** With the From_ line, where there is one, and the empty line. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

const newline = 10;

/** The header ends at the first empty line; without one all of it is header. */
export function splitMail(octets: Uint8Array): Mail {
  const bytes = asBuffer(octets);
  let start = 0;
  // Empty lines before the header belong to it.
  while (bytes[start] === newline) start += 1;
  const empty = bytes.indexOf('\n\n', start);
  const end = empty < 0 ? bytes.length : empty + 2;
  const body = bytes.subarray(end);
  return { header: withBodyLength(bytes.subarray(0, end), body.length), body };
}

/** Content-Length, where it stands, says how long the body really is, in as many octets as before where they suffice. */
function withBodyLength(header: Buffer, length: number): Buffer {
  const text = header.toString('latin1');
  const [field, name, value] = /^(Content-Length:)([^\n]*)$/im.exec(text) ?? [];
  if (field === undefined || Number.parseInt(value!, 10) === length) return header;
  return Buffer.from(text.replace(field, name! + String(length).padStart(value!.length)), 'latin1');
}

/** Of headers that were unfolded before: every condition asks for it. */
const known = new WeakMap<Uint8Array, Uint8Array>();

/** The header with every continued field on one line: the line end becomes a space. */
export function unfolded(header: Uint8Array): Uint8Array {
  const found = known.get(header);
  if (found !== undefined) return found;
  const bytes = Buffer.from(header);
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) {
    const next = bytes[at + 1];
    if (next === 32 || next === 9) bytes[at] = 32;
  }
  known.set(header, bytes);
  return bytes;
}

/** Both or one of the parts. */
export function partsOf(mail: Mail, parts: { readonly header: boolean; readonly body: boolean }): Uint8Array {
  if (parts.header && parts.body) return Buffer.concat([mail.header, mail.body]);
  if (parts.header) return mail.header;
  return parts.body ? mail.body : new Uint8Array(0);
}

/** The From_ line with its line end; undefined where there is none. */
export function fromLine(mail: Mail): string | undefined {
  const header = asBuffer(mail.header);
  if (!header.subarray(0, 5).equals(Buffer.from('From '))) return undefined;
  const end = header.indexOf(newline);
  return header.toString('latin1', 0, end < 0 ? undefined : end + 1);
}

export function withoutFromLine(octets: Uint8Array): Uint8Array {
  const bytes = asBuffer(octets);
  return bytes.subarray(0, 5).equals(Buffer.from('From '))
    ? bytes.subarray(bytes.indexOf(newline) + 1)
    : octets;
}

/** The line of the first Subject field, its name included; not what continues it. */
export function subjectLine(mail: Mail): string | undefined {
  const [line] = /^Subject:[^\n]*/im.exec(asBuffer(mail.header).toString('latin1')) ?? [];
  return line?.replace(/[\t\v\f\r]/g, ' ');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
