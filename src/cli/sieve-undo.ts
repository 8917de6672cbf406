/** The way back from `mailfilter sieve apply --execute`: one JSON line for each thing done, written as soon as it is done. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { describeError } from '../../core/base/errors.ts';
import { MailboxError } from '../mailbox/mailbox-error.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import type { StoredMail } from './sieve-stored-mail.ts';

/** `uid` is where the message is now; the UIDVALIDITY of that folder tells whether it still means that message. */
export type Done =
  | {
      readonly did: 'move' | 'copy';
      readonly from: string;
      readonly to: string;
      readonly uidValidity: number;
      readonly uid: number;
    }
  | {
      readonly did: 'flags';
      readonly folder: string;
      readonly uidValidity: number;
      readonly uid: number;
      readonly before: readonly string[];
    };

export interface Undo {
  note(done: Done): void;
  close(): void;
}

const head = { format: 'mailfilter-sieve-undo', version: 1 };

/** @throws CommandError when it cannot be made */
export function openUndo(file: string): Undo {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'wx', 0o600);
  } catch (error) {
    throw new CommandError(exitCodes.cannotCreate, `${file}: ${describeError(error)}`);
  }
  const line = (value: unknown) => void writeSync(descriptor, `${JSON.stringify(value)}\n`);
  line(head);
  return {
    note: line,
    close() {
      fsyncSync(descriptor);
      closeSync(descriptor);
    },
  };
}

/** @throws CommandError when it is no such file */
export function readUndo(file: string): Done[] {
  try {
    const [first = '', ...lines] = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    const { format, version } = JSON.parse(first);
    if (format !== head.format || version !== head.version) throw new Error('it is none of this version');
    return lines.map((line) => JSON.parse(line) as Done);
  } catch (error) {
    throw new CommandError(
      exitCodes.dataError,
      `${file} cannot be read as an undo file: ${describeError(error)}`,
    );
  }
}

/** The last first. Where a message is gone, or was moved on, its way back is left out and counted. */
export async function undoAll(
  { account }: StoredMail,
  steps: readonly Done[],
): Promise<{ undone: number; gone: number }> {
  const counts = { undone: 0, gone: 0 };
  for (const step of [...steps].reverse()) {
    const name = step.did === 'flags' ? step.folder : step.to;
    const folder = await account.openFolder(name, { readOnly: false }).catch(gone);
    const snapshot = await folder?.refresh();
    if (folder && snapshot?.uidValidity === step.uidValidity && snapshot.indexOf(step.uid) !== -1) {
      if (step.did === 'flags') await folder.store([step.uid], { how: 'replace', flags: step.before });
      else if (step.did === 'copy') await folder.remove([step.uid]);
      else await folder.move([step.uid], step.from);
      counts.undone += 1;
    } else counts.gone += 1;
    folder?.close();
  }
  return counts;
}

function gone(error: unknown): undefined {
  if (error instanceof MailboxError && error.responseCode === 'NONEXISTENT') return undefined;
  throw error;
}
