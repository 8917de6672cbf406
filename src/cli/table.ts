/** Tables for eyes: aligned columns, cut to the width of the terminal. */
import { printable } from './printable.ts';

export interface Column<Row> {
  readonly title: string;
  value(row: Row): string | number;
  readonly align?: 'left' | 'right';
  /** Cut this column first when the table is too wide. */
  readonly shrink?: boolean;
}

export interface TableOptions {
  /** Cells a line may take; default: the terminal's columns, no bound where there is no terminal. */
  readonly width?: number;
}

/** Smallest width that a shrunk column keeps. */
const shrunkWidthMin = 12;

/** The table with a title line, each line ended by \n. Control characters are shown as escapes. */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: TableOptions = {},
): string {
  const cells = rows.map((row) => columns.map((column) => printable(String(column.value(row)))));
  const titles = columns.map(({ title }) => title);
  const widths = columns.map((_, index) =>
    Math.max(...[titles, ...cells].map((line) => displayWidth(line[index] ?? ''))),
  );
  fit(widths, columns, options.width ?? process.stdout.columns ?? Number.POSITIVE_INFINITY);
  const line = (values: readonly string[]): string =>
    columns
      .map(({ align }, index) => pad(cut(values[index] ?? '', widths[index]!), widths[index]!, align))
      .join('  ')
      .trimEnd();
  return [titles, ...cells].map((values) => `${line(values)}\n`).join('');
}

/** Cells that a text takes on a terminal: combining marks none, wide characters two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{Mark}|\p{Default_Ignorable_Code_Point}/u.test(character)) continue;
    width += isWide(character) ? 2 : 1;
  }
  return width;
}

/** East Asian wide and emoji. Unicode Standard Annex 11, to the precision that columns need. */
function isWide(character: string): boolean {
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
    character,
  );
}

function fit(widths: number[], columns: readonly Column<never>[], limit: number): void {
  for (;;) {
    const total = widths.reduce((sum, width) => sum + width, 0) + 2 * (widths.length - 1);
    const candidates = columns.flatMap(({ shrink }, index) =>
      shrink === true && widths[index]! > shrunkWidthMin ? [index] : [],
    );
    if (total <= limit || candidates.length === 0) return;
    const widest = candidates.reduce((best, index) => (widths[index]! > widths[best]! ? index : best));
    widths[widest] = Math.max(shrunkWidthMin, widths[widest]! - (total - limit));
  }
}

function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  for (const character of text) {
    if (displayWidth(kept + character) > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const gap = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? gap + text : text + gap;
}
