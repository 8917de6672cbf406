/** What a command of IMAP is: where it is allowed, how its arguments are read, what it does. One file for each. */
import type { Cursor } from './parse/cursor.ts';
import type { Session } from './session.ts';

export type CommandState = 'any' | 'notAuthenticated' | 'authenticated' | 'selected';

/** How the tagged OK reads: `tag OK [code] text`. */
export interface Done {
  readonly code?: string;
  readonly text?: string;
}

export interface Call {
  readonly tag: string;
  /** `UID FETCH` and its like. */
  readonly uid: boolean;
}

export interface CommandInit<Arguments> {
  readonly name: string;
  /** `authenticated` includes `selected`. RFC 9051 section 6. */
  readonly in: CommandState;
  /** Reads up to the end of the command; no I/O. @throws Refusal BAD */
  parse(input: Cursor, call: { readonly uid: boolean }): Arguments;
  /** @throws Refusal, MailboxError */
  run(
    session: Session,
    given: Arguments,
    call: Call,
  ): Promise<Done | undefined | void> | Done | undefined | void;
  /** Also as `UID name`. */
  readonly hasUidForm?: boolean;
  /** Without UID no message number may change in its answer. RFC 9051 section 7.5.1. */
  readonly keepsNumbers?: boolean;
  /** Octets of literals go to disk when this says so of the text before them. */
  readonly takesMessage?: (before: string) => boolean;
}

export interface Command extends Omit<CommandInit<unknown>, 'parse' | 'run'> {
  /** Reads the arguments. @returns what runs the command with them @throws Refusal BAD */
  begin(input: Cursor, call: { readonly uid: boolean }): Run;
}

export type Run = (session: Session, call: Call) => Promise<Done | undefined>;

export function command<Arguments>(init: CommandInit<Arguments>): Command {
  const { parse, run, ...rest } = init;
  return {
    ...rest,
    begin(input, form) {
      const given = parse(input, form);
      input.end();
      return async (session, call) => (await run(session, given, call)) ?? undefined;
    },
  };
}

/** A command without arguments. */
export function nothing(): undefined {
  return undefined;
}
