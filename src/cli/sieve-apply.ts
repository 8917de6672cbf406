/** `mailfilter sieve apply`: runs a script on stored mail. Dry unless told otherwise; what it does can be undone. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { loadConfig } from '../../core/config/load.ts';
import { runSieve } from '../../rules/sieve/index.ts';
import type { Folder } from '../mailbox/mailbox.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { type Change, changeOf } from './sieve-change.ts';
import { compileNeeded } from './sieve-source.ts';
import {
  fieldOf,
  openStoredFolder,
  openStoredMail,
  type StoredMail,
  storedEnvironment,
  storedMessages,
} from './sieve-stored-mail.ts';
import { openUndo, readUndo, type Undo, undoAll } from './sieve-undo.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly config?: string;
  readonly user: string;
  readonly mailbox: string;
  readonly execute?: boolean;
  readonly undoFile?: string;
  readonly json?: boolean;
}

export function defineApply(command: Command): void {
  command
    .command('apply')
    .description('run a script on stored mail: shows what would change, changes it with --execute')
    .argument('<script>', 'Sieve script; with --undo the file that --execute wrote')
    .requiredOption('--user <address>', 'whose mail')
    .option('--mailbox <name>', 'which folder', 'INBOX')
    .option('--execute', 'do it, and write down how to undo it')
    .option('--undo-file <file>', 'where (default: sieve-undo-DATE.jsonl here)')
    .option('--undo', 'put everything back as the file says')
    .option(...configOption)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nRedirects, replies, refusals and edits are told and not done: the mail was answered for long ago.\nWhat a script discards goes to Trash.',
    )
    .action((file: string, options: Options & { undo?: boolean }) =>
      options.undo === true ? undo(file, options) : apply(file, options),
    );
}

/** What would become of one message, with what people know it by. */
interface Planned extends Change {
  readonly uid: number;
  readonly from: string;
  readonly subject: string;
}

async function apply(script: string, options: Options): Promise<void> {
  const program = compileNeeded(script);
  const config = loadConfig(findConfig(options.config));
  const undoFile = options.undoFile ?? `sieve-undo-${new Date().toISOString().replace(/[:.]/g, '-')}.jsonl`;
  if (options.execute === true && existsSync(undoFile)) {
    throw new CommandError(exitCodes.cannotCreate, `${undoFile} is there already`);
  }
  // Before root is given up: the file belongs to who runs this.
  const notes = options.execute === true ? openUndo(undoFile) : undefined;
  await using mail = await openStoredMail(config, options.user);
  const folder = await openStoredFolder(mail, options.mailbox);
  const planned: Planned[] = [];
  for await (const message of storedMessages(folder, Number.POSITIVE_INFINITY)) {
    const outcome = await runSieve(program, message.octets, storedEnvironment(mail, message, config));
    const change = changeOf(outcome, folder.name, mail.folders);
    if (change === undefined) continue;
    const [from, subject] = ['from', 'subject'].map((name) => fieldOf(message.octets, name)) as [
      string,
      string,
    ];
    planned.push({ uid: message.uid, from, subject, ...change });
  }
  if (notes) {
    for (const change of planned) await carryOut(mail, folder, change, notes);
    notes.close();
  }
  folder.close();
  if (options.json === true)
    process.stdout.write(`${JSON.stringify({ planned, ...(notes && { undoFile }) }, null, 2)}\n`);
  else process.stdout.write(textOf(planned, notes && undoFile));
}

async function carryOut(mail: StoredMail, folder: Folder, change: Planned, undo: Undo): Promise<void> {
  const { uid, copies, stays, flags } = change;
  for (const { folder: target, create } of copies) await makeFolder(mail, target, create);
  const [last, ...others] = [...copies].reverse();
  for (const copy of others) await place(mail, folder, uid, copy, 'copy', undo);
  if (last) await place(mail, folder, uid, last, stays ? 'copy' : 'move', undo);
  if (stays && flags.length > 0) {
    const { snapshot } = folder;
    const before = snapshot.flagNames(snapshot.indexOf(uid));
    const { uidValidity } = (await folder.store([uid], { how: 'add', flags })).snapshot;
    undo.note({ did: 'flags', folder: folder.name, uidValidity, uid, before });
  }
}

async function makeFolder({ account }: StoredMail, name: string, create: boolean): Promise<void> {
  const there = (await account.list()).some((each) => each.exists && each.name === name);
  if (!there && create) await account.create(name);
}

async function place(
  { account }: StoredMail,
  folder: Folder,
  uid: number,
  { folder: to, flags }: Change['copies'][number],
  how: 'copy' | 'move',
  undo: Undo,
): Promise<void> {
  const {
    uidValidity,
    to: [there],
  } = await folder[how]([uid], to);
  // Somebody else has moved or removed it meanwhile.
  if (there === undefined) return;
  undo.note({ did: how, from: folder.name, to, uidValidity, uid: there });
  if (flags.length === 0) return;
  const target = await account.openFolder(to, { readOnly: false });
  const { snapshot } = target;
  const before = snapshot.flagNames(snapshot.indexOf(there));
  await target.store([there], { how: 'add', flags });
  undo.note({ did: 'flags', folder: to, uidValidity, uid: there, before });
  target.close();
}

async function undo(file: string, options: Options): Promise<void> {
  const steps = readUndo(file);
  await using mail = await openStoredMail(loadConfig(findConfig(options.config)), options.user);
  const { undone, gone } = await undoAll(mail, steps);
  process.stdout.write(
    `${undone} undone${gone > 0 ? `, ${gone} not: the mail is not where it was put` : ''}.\n`,
  );
  if (gone > 0) process.exitCode = exitCodes.negative;
}

function textOf(planned: readonly Planned[], undoFile: string | undefined): string {
  if (planned.length === 0) return 'Nothing would change.\n';
  const table = formatTable(planned, [
    { title: 'uid', value: ({ uid }) => uid, align: 'right' },
    { title: 'from', value: ({ from }) => from, shrink: true },
    { title: 'subject', value: ({ subject }) => subject, shrink: true },
    { title: 'what', value: ({ words }) => words.join('; ') },
    { title: 'line', value: ({ lines }) => lines.join(', ') },
  ]);
  const count = `${planned.length} message${planned.length === 1 ? '' : 's'}`;
  return undoFile === undefined
    ? `${table}\n${count} would change; --execute does it.\n`
    : `${table}\n${count} changed. To undo: mailfilter sieve apply --undo ${undoFile} --user ...\n`;
}
