/** What a running filter knows: its variables, the mail, and how much it has done of what it may do. */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import { FilterLimit } from './ends.ts';
import { MailText } from './mail-text.ts';
import type { ShellLine, StepFacts } from './steps.ts';

export class FilterState {
  readonly #variables = new Map<string, string>();
  #octets!: Buffer;
  #text!: MailText;
  #steps = 0;
  #valuesLength = 0;

  constructor(variables: Readonly<Record<string, string>>, octets: Uint8Array) {
    for (const [name, value] of Object.entries(variables)) this.set(name, value);
    this.setMail(octets);
  }

  get octets(): Buffer {
    return this.#octets;
  }

  get text(): MailText {
    return this.#text;
  }

  /** Empty where it is not set. */
  get(name: string): string {
    return this.#variables.get(name) ?? '';
  }

  unset(name: string): void {
    this.#valuesLength -= this.get(name).length;
    this.#variables.delete(name);
  }

  /** @throws FilterLimit for a value that is too large */
  set(name: string, value: string): void {
    this.#valuesLength += value.length - this.get(name).length;
    if (value.length > maildropLimits.valueBytesMax || this.#valuesLength > maildropLimits.valuesBytesMax) {
      throw new FilterLimit('A variable has become too large.');
    }
    this.#variables.set(name, value);
  }

  /** What EXITCODE says. */
  get exitCode(): number {
    return Number.parseInt(this.get('EXITCODE'), 10) & 0xff || 0;
  }

  /** @param at line of the statement, or 0 */
  facts(at: number): StepFacts {
    // A NUL or an equals sign in a name is none of an environment's.
    const entries = [...this.#variables].filter(
      ([name, value]) => !/[=\0]|^$/.test(name) && !value.includes('\0'),
    );
    return { at, environment: Object.fromEntries(entries) };
  }

  /** For the shell that SHELL names. */
  shell(line: string): ShellLine {
    return { shell: this.get('SHELL') || '/bin/sh', line };
  }

  /** `$NAME` and `${NAME}`; a backslash before the dollar keeps both. */
  expand(text: string): string {
    if (!text.includes('$')) return text;
    const expanded = text.replace(
      /\\[\s\S]|\$(?:\{([^}\s]*)\}|([A-Za-z0-9_]+))/g,
      (whole, braced?: string, bare?: string) => {
        const name = braced ?? bare;
        return name === undefined ? whole : this.get(name);
      },
    );
    if (expanded.length > maildropLimits.valueBytesMax) throw new FilterLimit('A text has become too large.');
    return expanded;
  }

  /** @throws FilterLimit for a filter that does not come to an end */
  countStep(): void {
    this.#steps += 1;
    if (this.#steps > maildropLimits.stepsMax) throw new FilterLimit('The filter does not come to an end.');
  }

  setMail(octets: Uint8Array): void {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#text = new MailText(octets);
    this.set('SIZE', String(octets.length));
    let lines = 0;
    for (let at = this.#octets.indexOf(10); at >= 0; at = this.#octets.indexOf(10, at + 1)) lines += 1;
    this.set('LINES', String(lines));
  }

  /** The mail, with a line end at its end. */
  wholeLines(): Buffer {
    const octets = this.#octets;
    return octets.length === 0 || octets.at(-1) === 10 ? octets : Buffer.concat([octets, Buffer.from('\n')]);
  }

  /** An octet a character. */
  header(): string {
    const end = this.#octets.indexOf('\n\n');
    return this.#octets.toString('latin1', 0, end < 0 ? undefined : end + 1);
  }
}
