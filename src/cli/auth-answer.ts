/** How `mailfilter auth` shows an answer: the word, what led to it, and what DNS said. */
import type { AuthResult } from '../../core/mail/authentication-results.ts';
import type { AskedQuestion } from './asked-dns.ts';
import { printable } from './printable.ts';
import { formatTable } from './table.ts';

export interface AuthAnswer {
  readonly method: 'spf' | 'dkim' | 'dmarc' | 'arc';
  /** RFC 8601. */
  readonly result: string;
  /** What Authentication-Results would say. */
  readonly auth: readonly AuthResult[];
  readonly steps: readonly string[];
  readonly asked: readonly AskedQuestion[];
  /** Everything else that is known, for programs. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export function printAnswer({ method, result, auth, steps, asked, facts }: AuthAnswer, json: boolean): void {
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ method, ...facts, result, auth, steps, dns: asked }, null, 2)}\n`,
    );
    return;
  }
  const lines = [`${method}=${result}`, '', ...auth.map(describeAuth)];
  if (steps.length > 0) lines.push('', 'Steps:', ...steps.map((step) => `  ${printable(step)}`));
  lines.push('', asked.length === 0 ? 'DNS was not asked.' : 'DNS:', '');
  process.stdout.write(lines.join('\n'));
  if (asked.length > 0) process.stdout.write(questionTable(asked));
}

function questionTable(asked: readonly AskedQuestion[]): string {
  return formatTable(asked, [
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'NAME', value: ({ name }) => name },
    { title: 'MS', value: ({ ms }) => ms, align: 'right' },
    { title: 'ANSWER', value: describeAnswer },
  ]);
}

function describeAnswer({ answers = [], error }: AskedQuestion): string {
  if (error !== undefined) return `failed: ${error}`;
  return answers.length === 0 ? 'nothing' : answers.join(', ');
}

function describeAuth({ method, result, reason, properties }: AuthResult): string {
  const words = Object.entries(properties ?? {}).map(([name, value]) => `${name}=${value}`);
  return printable(
    [`${method}=${result}`, ...words, ...(reason === undefined ? [] : [`(${reason})`])].join(' '),
  );
}
