/** Writes down what a run does, line by line. */

import type { RunPlace } from './compiler.ts';
import type { TraceLine } from './outcome.ts';

type Input = TraceLine['inputs'][string];

const textCharactersMax = 200;
const listItemsMax = 20;

export class Tracer {
  readonly lines: TraceLine[] = [];
  readonly #max: number;
  #inputs: Record<string, Input> = {};
  #missing = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Something that the test or command under way looked at. */
  input(name: string, value: Input): void {
    this.#inputs[name] = cut(value);
  }

  test(place: RunPlace, name: string, holds: boolean): void {
    this.#write({ ...place, kind: 'test', name, inputs: this.#inputs, outcome: holds });
  }

  command(place: RunPlace, name: string): void {
    const { did, ...inputs } = this.#inputs;
    this.#write({ ...place, kind: 'command', name, inputs, outcome: typeof did === 'string' ? did : 'done' });
  }

  /** All lines; the last one tells of those that were too many. */
  finish(): readonly TraceLine[] {
    if (this.#missing === 0) return this.lines;
    const last = this.lines.at(-1)!;
    const note: TraceLine = {
      ...last,
      kind: 'command',
      name: 'trace',
      inputs: {},
      outcome: `${this.#missing} lines more`,
    };
    return [...this.lines, note];
  }

  #write(line: TraceLine): void {
    this.#inputs = {};
    if (this.lines.length < this.#max) this.lines.push(line);
    else this.#missing++;
  }
}

function cut(value: Input): Input {
  if (typeof value === 'string') return cutText(value);
  if (!Array.isArray(value)) return value;
  const items = (value as readonly string[]).slice(0, listItemsMax).map(cutText);
  return value.length > listItemsMax ? [...items, `... ${value.length - listItemsMax} more`] : items;
}

function cutText(text: string): string {
  const whole = text.toWellFormed();
  return whole.length > textCharactersMax ? `${whole.slice(0, textCharactersMax)}...` : whole;
}
