/** One command as a client wrote it: tag, name, and what its arguments mean. No I/O. RFC 9051 section 2.2.1. */
import type { Command, Run } from '../command.ts';
import { commands } from '../commands.ts';
import { bad, Refusal } from '../refusal.ts';
import { Cursor, type MessageLiteral } from './cursor.ts';

export interface ParsedCommand {
  readonly tag: string;
  readonly uid: boolean;
  /** `UID FETCH`. */
  readonly name: string;
  readonly command: Command;
  readonly run: Run;
}

/** @param text lines and literals together. @throws Refusal BAD; the tag is `tagOf(text)` */
export function parseCommand(text: string, messages: readonly MessageLiteral[] = []): ParsedCommand {
  const input = new Cursor(text, messages);
  const tag = input.tag();
  input.space();
  const { name, uid, command } = readName(input);
  return { tag, uid, name: uid ? `UID ${name}` : name, command, run: command.begin(input, { uid }) };
}

/** Which command a text begins with; undefined for none. */
export function commandOf(text: string): Command | undefined {
  try {
    const input = new Cursor(text);
    input.tag();
    input.space();
    return readName(input).command;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** `*` where there is none that an answer could bear. */
export function tagOf(text: string): string {
  return /^[^\0-\x20\x7f-\xff(){%*"\\+]+/.exec(text)?.[0] ?? '*';
}

function readName(input: Cursor): { name: string; uid: boolean; command: Command } {
  let name = input.word();
  const uid = name === 'UID';
  if (uid) {
    input.space();
    name = input.word();
  }
  const command = commands.get(name);
  if (!command || (uid && !command.hasUidForm)) throw bad('this command is not known');
  return { name, uid, command };
}
