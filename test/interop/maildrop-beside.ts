/** Debian's maildrop and ours on the same filter and mail, each in a fresh folder: what each leaves and prints. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { callingAccount } from '../../src/cli/deliver/account.ts';
import { readMaildropArguments } from '../../src/cli/maildrop/arguments.ts';
import { filterMail } from '../../src/cli/maildrop/deliver.ts';
import { runMany } from '../kit/run-many.ts';

/** Where a sync takes no time: each of hundreds of deliveries has some. */
const quickFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface MaildropCase {
  /** With `@box@` for the folder it runs in. */
  readonly filter: string;
  /** An octet a character. */
  readonly mail: string;
  /** Before the filter, and behind it. */
  readonly options?: readonly string[];
  readonly positional?: readonly string[];
}

/** A run's exit code, what it printed, and every file by its name with what is in it. */
export interface Left {
  readonly code: number | null;
  readonly stdout: string;
  readonly files: Readonly<Record<string, string>>;
}

/** In the order of the cases. Ours runs in this process, which has folder and umask to itself. */
export async function runBoth(
  program: string,
  cases: readonly MaildropCase[],
): Promise<{ readonly maildrop: Left; readonly ours: Left }[]> {
  const root = mkdtempSync(join(quickFolder, 'mailfilter-maildrop-'));
  try {
    const boxes = cases.map((each, index) => ({
      each,
      theirs: newBox(root, `a${index}`, each),
      own: newBox(root, `b${index}`, each),
    }));
    const results = runMany(
      boxes.map(({ each, theirs }) => ({
        argv: [program, ...(each.options ?? []), 'filter', ...(each.positional ?? [])],
        input: each.mail,
        cwd: theirs,
      })),
    );
    const both: { maildrop: Left; ours: Left }[] = [];
    for (const [index, { each, theirs, own }] of boxes.entries()) {
      const { code, stdout } = results[index]!;
      const maildrop = { code, stdout: alike(stdout.replaceAll(theirs, '@box@')), files: filesIn(theirs) };
      both.push({ maildrop, ours: await ownRun(each, own) });
    }
    return both;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Ours alone. */
export async function runOurs(each: MaildropCase): Promise<Left> {
  const root = mkdtempSync(join(quickFolder, 'mailfilter-maildrop-'));
  try {
    return await ownRun(each, newBox(root, 'b', each));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function newBox(root: string, name: string, { filter }: MaildropCase): string {
  const box = join(root, name);
  for (const part of ['new', 'cur', 'tmp']) mkdirSync(join(box, 'md', part), { recursive: true });
  writeFileSync(join(box, 'filter'), Buffer.from(filter.replaceAll('@box@', box), 'latin1'), { mode: 0o600 });
  writeFileSync(join(box, 'included'), 'INCLUDED="yes $1"\ncc "from-included"\n', { mode: 0o600 });
  writeFileSync(join(box, 'broken'), 'if (\n', { mode: 0o600 });
  writeFileSync(join(box, 'patterns'), '# a list\n\n  nothing\n^hello.*foo$\n', { mode: 0o600 });
  return box;
}

async function ownRun(each: MaildropCase, box: string): Promise<Left> {
  const out = join(box, '..', 'stdout');
  const umask = process.umask(0o007);
  const [stdout, stderr] = [openSync(out, 'w'), openSync('/dev/null', 'w')];
  process.chdir(box);
  try {
    const given = readMaildropArguments([...(each.options ?? []), 'filter', ...(each.positional ?? [])]);
    const filters = [{ path: 'filter', required: true }];
    const mail = Buffer.from(each.mail, 'latin1');
    const code = await filterMail(mail, callingAccount(), given, filters, { stdout, stderr });
    const printed = readFileSync(out, 'latin1').replaceAll(box, '@box@');
    return { code, stdout: alike(printed), files: filesIn(box) };
  } finally {
    closeSync(stdout);
    closeSync(stderr);
    process.umask(umask);
    process.chdir('/');
  }
}

/** Names that hold time and process are made alike. */
function filesIn(box: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(box, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(box, path).replace(/\d+\.M[^,]*,S=/, 'X,S=');
    if (['filter', 'included', 'broken', 'patterns'].includes(name)) continue;
    const hasMode = entry.isFile() && !name.includes('keywords');
    const mode = hasMode ? (statSync(path).mode & 0o777).toString(8) : '-';
    const text = entry.isDirectory() ? '' : readFileSync(path, 'latin1').replaceAll(box, '@box@');
    files[name] = `${mode} ${alike(text)}`;
  }
  return Object.fromEntries(Object.entries(files).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function alike(text: string): string {
  return text
    .replace(/^(From \S* |Date: )\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}$/gm, '$1DATE')
    .replace(/^TIME \d+$/gm, 'TIME');
}
