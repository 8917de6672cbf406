/**
 * rcfiles of 1, 20 and 200 recipes, the last of which files the mail: a process for each message as an MDA is run, beside
 * Debian's procmail and maildrop in the same run; and inside a running process, as the server runs them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rehearseProcmail } from '../../rules/procmail/rehearse.ts';

const launcher = fileURLToPath(new URL('../../src/mailfilter.js', import.meta.url));
const counts = [1, 20, 200];
const roundMs = Number(process.argv[2] ?? 3000);

const header = Array.from({ length: 12 }, (_, at) => `X-Field-${at}: some text of a field, number ${at}\n`);
const mail = Buffer.from(
  `From ann@example.org Sat Nov 21 09:00:00 2026\nFrom: ann@example.org\nTo: bob@example.test\nSubject: report\n${header.join('')}\n${'A line of the body, of which there are many.\n'.repeat(200)}`,
);

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-bench-'));
try {
  for (const name of ['mail/new', 'mail/cur', 'mail/tmp']) mkdirSync(join(folder, name), { recursive: true });
  const rows = counts.flatMap(rowsOf);
  for (const { recipes, what, perSecond } of rows)
    process.stdout.write(
      `${String(recipes).padStart(4)} recipes  ${what.padEnd(34)} ${perSecond.toFixed(0).padStart(7)} messages a second\n`,
    );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

interface Row {
  readonly recipes: number;
  readonly what: string;
  readonly perSecond: number;
}

function rowsOf(recipes: number): Row[] {
  const rcfile = join(folder, `${recipes}.rc`);
  const source = rcfileOf(recipes);
  writeFileSync(rcfile, source);
  const filter = join(folder, `${recipes}.mailfilter`);
  writeFileSync(filter, maildropOf(recipes), { mode: 0o600 });
  const programs: readonly (readonly [what: string, program: string, args: readonly string[]])[] = [
    ['mailfilter deliver', process.execPath, [launcher, 'deliver', '-m', rcfile]],
    ['procmail', '/usr/bin/procmail', ['-m', rcfile]],
    ['maildrop', '/usr/bin/maildrop', [filter]],
  ];
  const rows = programs
    .filter(([, program]) => existsSync(program))
    .map(([what, program, args]) => ({
      recipes,
      what: `${what}, a process each`,
      perSecond: rate(() => runOnce(program, args)),
    }));
  const inside = rate(() => {
    const { delivered } = rehearseProcmail(inputOf(rcfile), () => source);
    if (!delivered) throw new Error('it was not delivered');
  });
  return [...rows, { recipes, what: 'inside, without storing', perSecond: inside }];
}

function rate(work: () => void): number {
  work();
  const begun = performance.now();
  let done = 0;
  while (performance.now() - begun < roundMs) {
    work();
    done += 1;
  }
  return (done * 1000) / (performance.now() - begun);
}

function runOnce(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { input: mail, cwd: folder, env: { HOME: folder } });
  if (status !== 0) throw new Error(`${program}: ${status} ${stderr}`);
}

function inputOf(rcfile: string) {
  return {
    octets: mail,
    rcfiles: [rcfile],
    variables: { MAILDIR: folder, DEFAULT: `${folder}/mail/`, SHELLMETAS: '&|<>~;?*[' },
    ...{ positional: [], host: 'bench', processId: process.pid },
  };
}

/** All but the last look at the header in vain. */
function rcfileOf(recipes: number): string {
  const vain = Array.from(
    { length: recipes - 1 },
    (_, at) => `:0\n* ^(From|Sender):.*list-${at}@lists\\.example\\.org\nlists/${at}/\n`,
  );
  return `MAILDIR=${folder}\nDEFAULT=${folder}/mail/\n${vain.join('\n')}\n:0\n* ^Subject:.*report\nmail/\n`;
}

function maildropOf(recipes: number): string {
  const vain = Array.from(
    { length: recipes - 1 },
    (_, at) =>
      `if (/^(From|Sender):.*list-${at}@lists\\.example\\.org/)\n{\n  to "${folder}/lists-${at}"\n}\n`,
  );
  return `${vain.join('\n')}\nif (/^Subject:.*report/)\n{\n  to "${folder}/mail"\n}\n`;
}
