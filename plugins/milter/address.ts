/** Where a milter listens, as its own documentation or Postfix's main.cf writes it. */
import { type DaemonAddress, parseDaemonAddress } from 'mailfilter/plugin';

/**
 * `unix:/run/opendkim.sock`, `127.0.0.1:8891`, `[::1]:8891`, `inet:127.0.0.1:8891`, or Sendmail's `inet:8891@localhost`.
 * @throws TypeError for anything else
 */
export function parseMilterAddress(text: string, baseDirectory: string): DaemonAddress {
  const sendmail = /^inet6?:(\d{1,5})@(.+)$/.exec(text);
  const plain = sendmail ? `${sendmail[2]}:${sendmail[1]}` : text.replace(/^inet6?:/, '');
  return parseDaemonAddress(plain, baseDirectory);
}
