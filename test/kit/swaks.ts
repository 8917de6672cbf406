/** Sends one message with swaks, the client that speaks anything, and tells what the server answered. */
import { spawn } from 'node:child_process';
import { collect } from './command.ts';

export interface Sent {
  /** Every line of the conversation. */
  readonly transcript: string;
  /** The reply that ended it: to the message, or to the command that was refused. `''` when there was none. */
  readonly reply: string;
}

export interface SwaksOptions {
  readonly port: number;
  readonly from?: string;
  readonly to: string | readonly string[];
  /** The whole message. */
  readonly message?: string;
  readonly args?: readonly string[];
}

/** @param program path of swaks, as requireProgram gives it */
export async function swaks(program: string, options: SwaksOptions): Promise<Sent> {
  const { port, from = 'ann@example.org', to, message, args = [] } = options;
  const recipients = typeof to === 'string' ? to : to.join(',');
  const target = ['--server', '127.0.0.1', '--port', String(port), '--helo', 'client.example.org'];
  const envelope = ['--from', from, '--to', recipients];
  const data = message === undefined ? [] : ['--data', '-'];
  const { stdout, stderr } = await collect(
    spawn(program, [...target, ...envelope, ...data, ...args]),
    message,
  );
  const transcript = `${stdout}${stderr}`;
  const replies = [...transcript.matchAll(/^<(?:-|~|\*\*) +(\d{3} .*)$/gm)].map(([, line]) => line!);
  const last = replies.at(-1) ?? '';
  return { transcript, reply: last.startsWith('221 ') ? (replies.at(-2) ?? '') : last };
}
