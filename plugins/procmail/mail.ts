/** A message as procmail reads it, and back: LF line ends and a From_ line there, CRLF here. */
import type { DeliverInput } from 'mailfilter/plugin';
import { withoutFromLine } from '../../rules/procmail/mail.ts';

export async function mailOf({ message, envelope }: DeliverInput): Promise<Uint8Array> {
  const octets = Buffer.concat(await message.raw().toArray());
  const text = octets.toString('latin1').replaceAll('\r\n', '\n');
  // A reverse-path with white space would be two words of the line.
  const sender = envelope.sender === '' ? 'MAILER-DAEMON' : envelope.sender.replace(/\s/g, '_');
  return Buffer.concat([Buffer.from(`From ${sender}  ${fromLineDate()}\n`), Buffer.from(text, 'latin1')]);
}

/** Undefined where it is the message as it came; else the octets to store in its place, CRLF line ends. */
export function changedFrom(original: Uint8Array, given: Uint8Array): Uint8Array | undefined {
  const [before, now] = [original, given].map((octets) => endless(withoutFromLine(octets)));
  if (before === now) return undefined;
  return Buffer.from(`${now!.replaceAll('\n', '\r\n')}\r\n`, 'latin1');
}

/** Without the line ends at its end, which procmail adds one to. */
function endless(octets: Uint8Array): string {
  return Buffer.from(octets).toString('latin1').replace(/\n+$/, '');
}

function fromLineDate(): string {
  const [week, month, day, year] = new Date().toDateString().split(' ');
  return `${week} ${month} ${String(Number(day)).padStart(2)} ${new Date().toTimeString().slice(0, 8)} ${year}`;
}
