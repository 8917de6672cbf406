/** Makes the edits that hooks answer with. Counting and meaning: edit.ts. */
import type { Edit } from './edit.ts';

type HeaderEdit = Extract<Edit, { name: string }>;
type Parameters = Readonly<Record<string, string | true>>;

/** Append a header field. `value` may be folded (a line end followed by white space); any other line end is refused. */
export function addHeader(name: string, value: string): HeaderEdit {
  return { type: 'addHeader', name, value };
}

/** Put a header field at `index`, 0 being the very top, where trace fields belong. */
export function insertHeader(index: number, name: string, value: string): HeaderEdit {
  return { type: 'insertHeader', index, name, value };
}

/** Give the nth field of that name (from 1) a new value; it is appended when there is no such field. */
export function changeHeader(name: string, nth: number, value: string): HeaderEdit {
  return { type: 'changeHeader', name, nth, value };
}

/** Remove the nth field of that name (from 1), or all of them. */
export function deleteHeader(name: string, nth: number | 'all' = 'all'): HeaderEdit {
  return { type: 'deleteHeader', name, nth };
}

/** A new body. A string is written as UTF-8 with every line end as CRLF; octets are taken as they are. */
export function replaceBody(body: string | Uint8Array): Edit {
  if (typeof body !== 'string') return { type: 'replaceBody', body };
  return {
    type: 'replaceBody',
    body: Buffer.from(body.toWellFormed().replace(/\r\n|\r|\n/g, '\r\n'), 'utf8'),
  };
}

/** A new reverse-path, `''` for the null one; `parameters` replace those of the client that we do not interpret. */
export function changeSender(address: string, parameters?: Parameters): Edit {
  return parameters ? { type: 'changeSender', address, parameters } : { type: 'changeSender', address };
}

/** One more recipient, as `local@domain`; nothing happens when it is there already. */
export function addRecipient(address: string, parameters?: Parameters): Edit {
  return parameters ? { type: 'addRecipient', address, parameters } : { type: 'addRecipient', address };
}

/** Take a recipient off the envelope; nothing happens when it is not there. */
export function deleteRecipient(address: string): Edit {
  return { type: 'deleteRecipient', address };
}
