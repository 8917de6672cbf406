/** X-Spam-* fields in the forms that SpamAssassin writes and that Sieve scripts and mail readers test. */
import { addHeader, deleteHeader, type Edit, type ScoredSymbol } from 'mailfilter/plugin';

/** Whoever sent the message may have written these too. */
const names = ['X-Spam-Flag', 'X-Spam-Status', 'X-Spam-Score', 'X-Spam-Level', 'X-Spam-Report'];

export const spamFieldEffects = names.map((name) => `header:${name}` as const);

export interface SpamFacts {
  readonly score: number;
  /** From where on it is called spam; 0: never. */
  readonly required: number;
  readonly spam: boolean;
  readonly symbols: readonly ScoredSymbol[];
  /** Plugins that should have looked and did not. */
  readonly unscanned: readonly string[];
  readonly report: boolean;
}

/** Those of them that are there. */
export function removeSpamFields(has: (name: string) => boolean): Edit[] {
  return names.filter(has).map((name) => deleteHeader(name));
}

export function spamFields(facts: SpamFacts): Edit[] {
  const { score, spam, symbols, report } = facts;
  return [
    ...(spam ? [addHeader('X-Spam-Flag', 'YES')] : []),
    addHeader('X-Spam-Score', score.toFixed(1)),
    ...(score >= 1 ? [addHeader('X-Spam-Level', '*'.repeat(Math.min(starsMax, Math.floor(score))))] : []),
    addHeader('X-Spam-Status', statusOf(facts)),
    ...(report && symbols.length > 0 ? [addHeader('X-Spam-Report', reportOf(symbols))] : []),
  ];
}

/** As SpamAssassin has it. */
const starsMax = 50;
const testsMax = 100;

/** `Yes, score=7.3 required=5.0 tests=A,B`, folded between tests. */
function statusOf({ spam, score, required, symbols, unscanned }: SpamFacts): string {
  const tests = [...new Set(heaviestFirst(symbols).map(({ name }) => plain(name)))].slice(0, testsMax);
  const lines: string[] = [];
  let line = `${spam ? 'Yes' : 'No'}, score=${score.toFixed(1)} required=${required.toFixed(1)} tests=`;
  for (const [index, test] of (tests.length === 0 ? ['none'] : tests).entries()) {
    const text = index === 0 ? test : `,${test}`;
    if (line.length + text.length > 76) {
      lines.push(index === 0 ? line : `${line},`);
      line = test;
    } else line += text;
  }
  lines.push(line);
  if (unscanned.length > 0) lines.push(`unscanned=${unscanned.join(',')}`);
  return lines.join('\r\n\t');
}

function reportOf(symbols: readonly ScoredSymbol[]): string {
  const rows = heaviestFirst(symbols).slice(0, testsMax);
  return rows
    .map(({ name, score, text = '' }) =>
      `${score.toFixed(1).padStart(5)} ${plain(name)} ${plain(text).slice(0, 60)}`.trimEnd(),
    )
    .join('\r\n\t');
}

function heaviestFirst(symbols: readonly ScoredSymbol[]): ScoredSymbol[] {
  return [...symbols].sort((one, other) => Math.abs(other.score) - Math.abs(one.score));
}

/** Names and texts come from other programs: they end no field and no list. */
function plain(text: string): string {
  return text.replace(/[^\x21-\x2b\x2d-\x7e ]/g, '?').trim();
}
