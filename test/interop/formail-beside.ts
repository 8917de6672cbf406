/** Debian's formail and ours on the same options and input: what each prints, its exit code, and the cache it leaves. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFormailArguments } from '../../rules/formail/arguments.ts';
import { type FormailOutcome, type FormailStep, formail } from '../../rules/formail/formail.ts';
import { lookUpKey } from '../../rules/formail/id-cache.ts';
import { runMany } from '../kit/run-many.ts';

export interface Printed {
  readonly code: number | null;
  readonly stdout: string;
  /** Content of the file `@cache@`. */
  readonly cache: string;
}

const usageCode = 64;
/** Octets that are handed over at once: pieces of mails that end anywhere. */
const pieceOctets = 7;

export interface FormailCase {
  /** `@cache@` is a file. */
  readonly options: readonly string[];
  /** An octet a character. */
  readonly input: string;
  /** What the file holds before; undefined: there is none. */
  readonly cache?: string;
}

/** In the order of the cases. */
export function runBoth(
  program: string,
  cases: readonly FormailCase[],
): { readonly formail: Printed; readonly ours: Printed }[] {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-formail-'));
  try {
    const path = (index: number) => join(folder, String(index));
    for (const [index, { cache }] of cases.entries())
      if (cache !== undefined) writeFileSync(path(index), cache, 'latin1');
    const results = runMany(
      cases.map(({ options, input }, index) => ({
        argv: [program, ...options.map((option) => (option === '@cache@' ? path(index) : option))],
        input,
      })),
    );
    return results.map(({ code, stdout }, index) => ({
      formail: {
        code,
        stdout: alike(stdout),
        cache: existsSync(path(index)) ? readFileSync(path(index), 'latin1') : '',
      },
      ours: ownRun(cases[index]!),
    }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The library alone: programs are not started. */
function ownRun({ options, input, cache: cacheBefore = '' }: FormailCase): Printed {
  const given = readFormailArguments(options);
  if (!('options' in given)) return { code: usageCode, stdout: '', cache: cacheBefore };
  let [stdout, cache, at] = ['', cacheBefore, 0];
  const carryOut = (step: FormailStep): FormailOutcome => {
    if (step.type === 'write') stdout += step.text;
    if (step.type === 'read' && at < input.length) {
      const text = input.slice(at, at + pieceOctets);
      at += pieceOctets;
      return { text };
    }
    if (step.type !== 'known') return {};
    const { known, write } = lookUpKey(cache, step.key, given.options.cache!.sizeBytes);
    if (write === undefined) return { known };
    cache = cache.slice(0, write.offset) + write.text + cache.slice(write.offset + write.text.length);
    return { known };
  };
  const running = formail(given.options, {
    date: 'Sat Nov 21 09:00:00 2026',
    newMessageId: () => 'unique@host',
  });
  let step = running.next();
  while (!step.done) step = running.next(carryOut(step.value));
  return { code: step.value, stdout: alike(stdout), cache };
}

/** What depends on the clock and on chance is made alike. */
function alike(text: string): string {
  return text
    .replace(/^([^\n]*?) {2}\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}$/gm, '$1  DATE')
    .replace(/^((?:Resent-)?Message-ID:) <[^>\n]+@[^>\n]+>$/gim, '$1 <ID>');
}
