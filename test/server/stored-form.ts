/** What a mailbox should hold of a message that came by DATA, worked out from the rules for line ends alone. */

/** CRLF and bare LF end a line, a bare CR is a space; stored with LF; one line end more where the data had none. */
export function storedForm(sent: Buffer): string {
  const octets = sent.toString('latin1');
  const whole = octets === '' || octets.endsWith('\r\n') ? octets : `${octets}\r\n`;
  return whole.replace(/\r\n|\r|\n/g, (end) => (end === '\r' ? ' ' : '\n'));
}

const traceFields =
  /^Return-Path: <[^\n]*>\nDelivered-To: [^\n]*\n(?:X-Mailfilter-Delivery: [^\n]*\n)?Received: [^\n]*\n(?:[ \t][^\n]*\n)*/;

/**
 * A stored copy without what this server put into it: Return-Path, Delivered-To, in an mbox the name of the delivery,
 * Received, and the empty line that parts a header from a body where the message had none.
 * Throws when the fields are not there.
 */
export function withoutTrace(stored: string, expected: string): string {
  const top = traceFields.exec(stored);
  if (top === null) throw new Error(`no trace fields on top of ${JSON.stringify(stored.slice(0, 300))}`);
  const rest = stored.slice(top[0].length);
  let same = 0;
  while (same < rest.length && rest[same] === expected[same]) same += 1;
  const isSeparated = expected.startsWith('\n') || expected.slice(0, same).includes('\n\n');
  const isInserted = rest[same] === '\n' && rest.slice(same + 1) === expected.slice(same);
  return isInserted && !isSeparated ? expected : rest;
}

/** RFC 5321 section 4.4: a Return-Path that came with the message goes at delivery. */
export function withoutReturnPath(message: string): string {
  const end = message.search(/^\n/m);
  const header = end === -1 ? message : message.slice(0, end);
  return (
    header.replace(/^Return-Path[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*/gim, '') + message.slice(header.length)
  );
}
