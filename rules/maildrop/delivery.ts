/** Where the mail goes: to mailboxes, to programs, through a filter; and what the log says of it. maildropfilter(7). */
import { FilterFailure } from './ends.ts';
import type { FilterState } from './state.ts';
import { codeOf, type Running } from './steps.ts';

export interface DeliveryFacts {
  /** Envelope sender, of the From_ line. */
  readonly sender: string;
  /** Local time as ctime(3) writes it, without a line end: of log lines. */
  readonly date: string;
}

/** False for a mail that is empty: it goes nowhere. @throws FilterFailure where it could not be delivered */
export function* deliver(
  state: FilterState,
  mailbox: string,
  at: number,
  facts: DeliveryFacts,
): Running<boolean> {
  if (state.octets.length === 0) return false;
  const input = state.wholeLines();
  if (/^[!|]/.test(mailbox)) return yield* deliverToProgram(state, mailbox, input, at, facts);
  const outcome = yield {
    type: 'store',
    path: mailbox,
    input,
    sender: facts.sender,
    size: state.octets.length,
    flags: state.get('FLAGS').replace(/[^DFRS]/g, ''),
    keywords: state
      .get('KEYWORDS')
      .split(',')
      .filter((keyword) => keyword !== ''),
    umask: Number.parseInt(state.get('UMASK'), 8) || 0,
    ...state.facts(at),
  };
  if (!outcome.ok) throw new FilterFailure('Unable to deliver to mailbox.');
  yield logLines(state, mailbox, true, outcome.length ?? input.length, facts);
  return true;
}

function* deliverToProgram(
  state: FilterState,
  mailbox: string,
  input: Uint8Array,
  at: number,
  facts: DeliveryFacts,
): Running<boolean> {
  const forward = mailbox.startsWith('!') ? mailbox.slice(1) : undefined;
  const line = forward === undefined ? mailbox.slice(1) : `${state.get('SENDMAIL')} -f '' ${forward}`;
  const outcome = yield { type: 'pipe', command: state.shell(line), input, forward, ...state.facts(at) };
  const code = codeOf(outcome);
  yield logLines(state, mailbox, outcome.ok && code === 0, input.length, facts);
  // A program that does well need not read all of it.
  const taken = outcome.ok || code === 0;
  if (!taken) throw new FilterFailure('Unable to deliver to mailbox.');
  state.set('EXITCODE', String(code));
  return true;
}

/** The mail is from now on what a program makes of it. @throws FilterFailure where it fails */
export function* filterMail(state: FilterState, line: string, at: number): Running<void> {
  const outcome = yield {
    type: 'filter',
    command: state.shell(line),
    input: state.wholeLines(),
    ...state.facts(at),
  };
  const code = codeOf(outcome) || (outcome.ok ? 0 : -1);
  state.set('RETURNCODE', String(code));
  if (code !== 0 || outcome.output === undefined) throw new FilterFailure('Unable to filter message.');
  state.setMail(outcome.output);
}

const logColumns = 66;

function logLines(
  state: FilterState,
  mailbox: string,
  ok: boolean,
  length: number,
  { date }: DeliveryFacts,
): { type: 'log'; text: string } {
  const field = (name: string) =>
    [...state.header().matchAll(new RegExp(`^${name}:[ \\t]*(.*)`, 'gim'))]
      .map(([, value]) => value)
      .join('');
  const from = field('From').slice(0, 72);
  const subject = field('Subject').slice(0, 72);
  const place = `${ok ? 'File: ' : '!Err: '}${mailbox.slice(0, logColumns).padEnd(logColumns)} (${length})`;
  return { type: 'log', text: `Date: ${date}\nFrom: ${from}\nSubj: ${subject}\n${place}\n\n` };
}
