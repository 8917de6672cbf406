/** Mail for a program: no shell, the message on standard input, its exit code by sysexits.h. */
import { type ChildProcess, spawn } from 'node:child_process';
import { describeError, errnoOf } from '../../core/base/errors.ts';
import { outboundLimits } from '../../core/base/limits/outbound.ts';
import { splitAddress } from '../../core/mail/address.ts';
import { type Rendered, streamRendered } from '../../core/mail/render.ts';
import type { Reply } from '../../core/mail/reply.ts';

export interface PipeMail {
  readonly sender: string;
  readonly recipient: string;
  readonly rendered: Rendered;
}

/**
 * Runs the program for one recipient, the message with LF line ends. 0 is delivered; 75, a signal and the end of its time
 * are later; anything else is a refusal. Never rejects.
 * @param command absolute path and arguments with placeholders
 */
export async function runPipe(command: readonly string[], mail: PipeMail): Promise<Reply> {
  if ([mail.sender, mail.recipient].some((address) => address.startsWith('-'))) {
    return {
      code: 553,
      enhanced: '5.1.3',
      text: 'an address that begins with a dash is not given to a program',
    };
  }
  return runCommand(
    command.map((word) => filled(word, mail)),
    mail,
  );
}

export interface CommandOptions {
  /** After which the program ends. */
  readonly timeoutMs?: number;
  /** It leads a group of its own, and what it started ends with it; default. Else it ends with the group that we are in. */
  readonly ownGroup?: boolean;
}

/** The same for a program and arguments that stand as they are; its environment has SENDER and RECIPIENT. */
export async function runCommand(
  command: readonly string[],
  mail: PipeMail,
  { timeoutMs = outboundLimits.pipeMs, ownGroup = true }: CommandOptions = {},
): Promise<Reply> {
  const [program = '', ...rest] = command;
  const child = spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', SENDER: mail.sender, RECIPIENT: mail.recipient },
    detached: ownGroup,
  });
  const timer = setTimeout(() => endAll(child, ownGroup), timeoutMs);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      if (said.length < outboundLimits.pipeOutputBytesMax) said += chunk.toString('utf8');
    });
  }
  const ended = new Promise<{ code: number | null; error?: Error }>((resolve) => {
    child.on('error', (error) => resolve({ code: null, error }));
    child.on('close', (code) => resolve({ code }));
    // A child of its own may hold its output open for ever; what it said is read by then.
    child.on('exit', (code) => setTimeout(() => resolve({ code }), afterExitMs).unref());
  });
  const unread = await feed(child.stdin, mail.rendered);
  // It must not take the part that it got for the whole.
  if (unread === undefined) child.stdin.end();
  else endAll(child, ownGroup);
  const { code, error } = await ended;
  clearTimeout(timer);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  if (error) return { code: 451, enhanced: '4.3.5', text: `cannot run ${program}: ${describeError(error)}` };
  return replyOf(program, code, said, unread);
}

function endAll({ pid }: ChildProcess, ownGroup: boolean): void {
  if (pid === undefined) return;
  try {
    process.kill(ownGroup ? -pid : pid, 'SIGKILL');
  } catch (error) {
    // All of it has ended, or runs as somebody else now.
    if (errnoOf(error) !== 'ESRCH' && errnoOf(error) !== 'EPERM') throw error;
  }
}

/** Answers an error of the message itself; a program that does not read on decides by its exit code. */
async function feed(stdin: NodeJS.WritableStream, rendered: Rendered): Promise<string | undefined> {
  let gone = false;
  stdin.on('error', () => {
    gone = true;
  });
  try {
    for await (const chunk of streamRendered(rendered, 'lf')) {
      if (gone || !stdin.writable) return undefined;
      if (!stdin.write(chunk)) await drained(stdin);
    }
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** How long after its end the output of a program is read. */
const afterExitMs = 1000;

function drained(stdin: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['drain', 'close', 'error']) stdin.once(event, () => resolve());
  });
}

function replyOf(program: string, code: number | null, said: string, unread: string | undefined): Reply {
  if (unread !== undefined) return { code: 451, enhanced: '4.3.0', text: unread };
  if (code === 0) return { code: 250, enhanced: '2.0.0', text: `delivered to ${program}` };
  const words = said.replace(/[\0-\x1f\x7f]+/g, ' ').trim();
  const text = `${program} ended with ${code ?? 'a signal'}${words === '' ? '' : `: ${words}`}`;
  // EX_TEMPFAIL; a program that was killed said nothing.
  if (code === null || code === 75) return { code: 451, enhanced: '4.3.0', text };
  return { code: 554, enhanced: code === 67 ? '5.1.1' : '5.3.0', text };
}

function filled(word: string, { sender, recipient }: PipeMail): string {
  const { local, domain } = splitAddress(recipient);
  const values: Readonly<Record<string, string>> = { sender, recipient, user: local, domain };
  return word.replace(/\{(sender|recipient|user|domain)\}/g, (_, name: string) => values[name] ?? '');
}
