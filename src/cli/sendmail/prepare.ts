/** A message as a program writes it, made ready to be sent: line ends, recipients from its header, a From where it has none. */
import { parseAddressList } from '../../../core/mail/address-list.ts';
import { formatField } from '../../../core/mail/format-field.ts';
import { fieldValue } from '../../../core/mail/header.ts';
import { readHeader } from '../../../core/mail/read-header.ts';
import { memorySource } from '../../../core/mail/source.ts';
import type { SendmailOptions } from './options.ts';

export interface Prepared {
  /** CRLF line ends. */
  readonly message: Buffer;
  readonly recipients: readonly string[];
}

/**
 * @param input as it came on standard input
 * @param author for a From that is missing
 */
export function prepare(
  input: Buffer,
  { fromHeader, dotEnds, fullName, recipients }: SendmailOptions,
  author: string,
): Prepared {
  const text = withCrlf(withoutMboxLine(dotEnds ? upToDot(input) : input));
  const block = readHeader(memorySource(text));
  const fields = block.starts.flatMap((start, index) => {
    if (block.nameEnds[index] === -1) return [];
    const octets = block.bytes.subarray(start, block.end(index));
    const name = octets.toString('latin1').split(':', 1)[0]!.trim().toLowerCase();
    return [{ name, value: fieldValue(octets) }];
  });
  // RFC 5322 section 3.6.6: of a message that is sent again the Resent fields speak.
  const resent = fields.some(({ name }) => name.startsWith('resent-'));
  const named = resent ? ['resent-to', 'resent-cc', 'resent-bcc'] : ['to', 'cc', 'bcc'];
  const listed = fromHeader
    ? fields.filter(({ name }) => named.includes(name)).flatMap(({ value }) => addressesIn(value))
    : [];
  const all = [...recipients.flatMap((each) => bareAddresses(each)), ...listed].filter((each) => each !== '');
  const head = fields.some(({ name }) => name === 'from') ? [] : [fromField(author, fullName)];
  // The first line that is no field begins the body, with or without an empty line before it.
  const bodyAt = block.bodyStart;
  const gap = block.separator.length > 0 ? [] : [crlf];
  const parts = [text.subarray(0, bodyAt), ...gap, text.subarray(bodyAt)];
  return { message: Buffer.concat([...head, ...parts]), recipients: [...new Set(all)] };
}

const crlf = Buffer.from('\r\n');

function fromField(author: string, fullName: string | undefined): Buffer {
  const quoted = fullName && /[^\w !#$%&'*+/=?^`{|}~-]/.test(fullName) ? JSON.stringify(fullName) : fullName;
  return formatField('From', quoted ? `${quoted} <${author}>` : author, true);
}

/** An argument may be a list, with names: `Ann <ann@example.org>, bob`. */
function bareAddresses(argument: string): string[] {
  const found = addressesIn(argument);
  return found.length > 0 ? found : [argument];
}

/** Names without a domain are of this machine: `root`, `Ann <ann>`. */
function addressesIn(value: string): string[] {
  const local = [...value.matchAll(/<([^<>@\s]+)>/g)].map(([, name]) => name!);
  const listed = parseAddressList(value).flatMap(({ address, name }) => {
    if (address !== '') return [address];
    return /^[^\s<>@,;:"]+$/.test(name) ? [name] : [];
  });
  return [...listed.filter((each) => !value.includes(`${each} <`)), ...local];
}

/** The line that a mailbox puts before a message; mail readers that resend leave it there. */
function withoutMboxLine(input: Buffer): Buffer {
  if (!/^>?From /.test(input.toString('latin1', 0, 6))) return input;
  const end = input.indexOf('\n');
  return end < 0 ? Buffer.alloc(0) : input.subarray(end + 1);
}

function upToDot(input: Buffer): Buffer {
  if (/^\.\r?\n/.test(input.toString('latin1', 0, 3))) return Buffer.alloc(0);
  for (let at = input.indexOf('\n.'); at >= 0; at = input.indexOf('\n.', at + 1)) {
    if (/^\n\.(?:\r?\n|$)/.test(input.toString('latin1', at, at + 4))) return input.subarray(0, at + 1);
  }
  return input;
}

/** Programs write either; a bare CR stays what it is. */
function withCrlf(input: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = input.indexOf(10); at >= 0; at = input.indexOf(10, at + 1)) {
    if (at > 0 && input[at - 1] === 13) continue;
    parts.push(input.subarray(from, at), crlf);
    from = at + 1;
  }
  const last = input.subarray(from);
  const open = last.length > 0 && last.at(-1) !== 10;
  return Buffer.concat([...parts, last, ...(open ? [crlf] : [])]);
}
