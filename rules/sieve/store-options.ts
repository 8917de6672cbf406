/** How keep, fileinto and :fcc store: folder, flags, creation. RFC 5232, 5490, 8579, 8580, 9042. */
import type { FileCarbonCopy } from './actions.ts';
import { normaliseFlags } from './extensions/imap4flags.ts';
import { Fault } from './fault.ts';
import type { Run } from './run.ts';
import type { Text } from './strings.ts';
import { hasBadOctets, shown } from './text.ts';
import type { Use } from './use.ts';

/** The name of a folder argument. Names that are no UTF-8 are errors, before or in the run. */
export function folderName(use: Use, name: Text, at: number): (run: Run) => string {
  const problem = (text: string) => `invalid folder name \`${shown(text)}' specified: invalid utf-8`;
  if (name.constant !== undefined) {
    const { constant } = name;
    if (hasBadOctets(constant)) use.error(`${use.title}: ${problem(constant)}`, at);
    else warnOfUnknown(use, constant, at);
    return () => constant;
  }
  return (run) => {
    const text = name.value(run);
    if (hasBadOctets(text)) throw new Fault(`${use.spec.name}: ${problem(text)}`);
    return text;
  };
}

function warnOfUnknown(use: Use, folder: string, at: number): void {
  const { folders } = use.compiler.options;
  const created = use.has('create');
  if (!folders || created || folders.includes(folder) || folder.toUpperCase() === 'INBOX') return;
  const other = folders.find((each) => each.toLowerCase() === folder.toLowerCase());
  const hint = other === undefined ? '' : `; there is "${other}"`;
  use.compiler.problems.warning(at, 'unknown-folder', `there is no folder "${shown(folder)}"${hint}`);
}

/** Flags of `:flags`; undefined where the internal variable counts. RFC 5232 section 5. */
export function flagsOption(use: Use): (run: Run) => readonly string[] {
  const flags = use.tagTexts('flags');
  if (!flags) return (run) => run.flags;
  return (run) => normaliseFlags(flags.values(run));
}

export interface Target {
  readonly create: boolean;
  readonly mailboxId?: string;
  readonly specialUse?: string;
}

export function targetOption(use: Use): (run: Run) => Target {
  const mailboxId = use.tagText('mailboxid');
  const specialUse = use.tagText('specialuse');
  const create = use.has('create');
  return (run) => ({
    create,
    ...(mailboxId && { mailboxId: mailboxId.value(run) }),
    ...(specialUse && { specialUse: specialUse.value(run) }),
  });
}

/** RFC 8580; undefined without :fcc. */
export function fccOption(use: Use): ((run: Run) => FileCarbonCopy) | undefined {
  const name = use.tagText('fcc');
  if (!name) return undefined;
  const folder = folderName(use, name, use.tagAt('fcc'));
  const flags = use.tagTexts('flags');
  const target = targetOption(use);
  return (run) => ({
    mailbox: folder(run),
    flags: flags ? normaliseFlags(flags.values(run)) : [],
    ...target(run),
  });
}
