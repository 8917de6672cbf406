/** Mail that a user's rules cause (a redirect, a reply) goes to the system's sendmail, which every MTA has. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';

const program = '/usr/sbin/sendmail';

/** @throws DeliveryError EX_TEMPFAIL when sendmail does not take it */
export async function sendMail(
  sender: string,
  recipients: readonly string[],
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  // An address that begins with a dash would be an option: -- ends them.
  const child = spawn(program, ['-i', '-f', sender || '<>', '--', ...recipients], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  // A program that ends early does not read on; its exit code is what counts.
  child.stdin.on('error', () => undefined);
  for await (const chunk of chunks) {
    if (child.stdin.destroyed) break;
    if (!child.stdin.write(chunk)) await Promise.race([once(child.stdin, 'drain'), ended]);
  }
  child.stdin.end();
  const code = await ended;
  if (code !== 0) throw new DeliveryError(deliveryCodes.tempFail, `${program} ended with ${code}`, '4.3.0');
}
