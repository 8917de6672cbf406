/** Macros an MTA has sent, by the command they belong to; a later command's hide an earlier one's of the same name. */
import { milterLimits } from '../../../core/base/limits/doors.ts';
import { commandLetters, MilterWireError } from '../../../core/net/milter/index.ts';

const { connect, helo, mail, rcpt, data, header, endOfHeaders, body, endOfMessage } = commandLetters;
/** In the order of a session. */
const stages: readonly string[] = [connect, helo, mail, rcpt, data, header, endOfHeaders, body, endOfMessage];
const ofTransaction = stages.slice(stages.indexOf(mail));

export class Macros {
  readonly #byStage = new Map<string, ReadonlyMap<string, string>>();

  /** @throws MilterWireError when all that is kept would be too much */
  set(letter: string, macros: ReadonlyMap<string, string>): void {
    // Those of commands that are nobody's business are not kept.
    if (!stages.includes(letter)) return;
    this.#byStage.set(letter, macros);
    let octets = 0;
    for (const each of this.#byStage.values()) {
      for (const [name, value] of each) octets += name.length + value.length;
    }
    if (octets > milterLimits.macroBytesMax) throw new MilterWireError('too many macros');
  }

  /** The newest value; names with or without braces, as MTAs differ: `i`, `auth_authen`. */
  get(name: string): string | undefined {
    for (let index = stages.length - 1; index >= 0; index--) {
      const macros = this.#byStage.get(stages[index]!);
      const value = macros?.get(`{${name}}`) ?? macros?.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** What a transaction left; the first macros of the next one may have come already. */
  endTransaction(): void {
    for (const letter of ofTransaction) this.#byStage.delete(letter);
  }

  clear(): void {
    this.#byStage.clear();
  }
}
