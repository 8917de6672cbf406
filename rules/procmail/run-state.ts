/** What a run of rcfiles knows: the mail, the variables, what was stored; and what conditions and programs see of it. */
import { logAbstract } from './abstract.ts';
import { type ConditionHouse, compileSearch } from './conditions.ts';
import { type Mail, partsOf, withoutFromLine } from './mail.ts';
import type { Search } from './search.ts';
import type { Environment, Parts, Running, StepFacts } from './steps.ts';

export class RunState implements ConditionHouse {
  readonly variables: Map<string, string>;
  positional: readonly string[];
  mail: Mail;
  /** What the log calls a mail that went nowhere. */
  nowhere = '';
  readonly #processId: number;
  readonly #searches: Map<string, Search>;
  #stored: { readonly name: string; readonly length: number } | undefined;

  /** @param from another run, of which this is a copy */
  constructor(mail: Mail, positional: readonly string[], processId: number, from?: RunState) {
    this.mail = from?.mail ?? mail;
    this.positional = from?.positional ?? positional;
    this.variables = new Map(from?.variables ?? []);
    this.#processId = processId;
    this.#searches = from === undefined ? new Map() : from.#searches;
  }

  set(name: string, value: string): void {
    this.variables.set(name, value);
  }

  /** Of the mail, with an empty line at its end. */
  octets(parts: Parts): Uint8Array {
    return this.partOf(parts, false);
  }

  /** An empty line at the end keeps mails of a folder apart. */
  partOf(input: Parts, raw: boolean): Uint8Array {
    const octets = partsOf(this.mail, input);
    if (raw) return octets;
    const end = Buffer.from(octets.subarray(-2)).toString('latin1');
    return end === '\n\n' ? octets : Buffer.concat([octets, Buffer.from('\n')]);
  }

  /** A Maildir parts mails by itself, and needs neither From_ line nor empty line. */
  storedOctets(folder: string, input: Parts, raw: boolean): Uint8Array {
    if (folder.endsWith('/')) return withoutFromLine(this.partOf(input, true));
    return this.partOf(input, raw || folder === '/dev/null');
  }

  *noteStored(name: string, length: number): Running<void> {
    this.#stored = { name, length };
    if (/^a/i.test(this.variables.get('LOGABSTRACT') ?? '')) yield* this.abstract('each');
  }

  *abstract(when: 'each' | 'last'): Running<void> {
    const wanted = this.variables.get('LOGABSTRACT') ?? 'yes';
    if (/^(?:n|off|0|f|d)/i.test(wanted)) return;
    if (when === 'last' && /^a/i.test(wanted)) return;
    if (this.variables.get('LOGFILE') === undefined) return;
    yield {
      type: 'log',
      text: logAbstract(this.mail, this.#stored?.name ?? this.nowhere, this.#stored?.length ?? 0),
    };
  }

  facts(line: number): StepFacts {
    return { line, environment: this.#environment(), timeoutSeconds: this.#seconds('TIMEOUT', 960) };
  }

  lockTimes(): { sleepSeconds: number; timeoutSeconds: number } {
    return {
      sleepSeconds: this.#seconds('LOCKSLEEP', 8),
      timeoutSeconds: this.#seconds('LOCKTIMEOUT', 1024),
    };
  }

  #seconds(name: string, otherwise: number): number {
    const seconds = Number.parseInt(this.variables.get(name) ?? '', 10);
    return Number.isNaN(seconds) ? otherwise : seconds;
  }

  #environment(): Environment {
    const names = [...this.variables.keys()].filter(
      (name) => /^[A-Za-z_][A-Za-z_0-9]*$/.test(name) && name !== '_',
    );
    return Object.fromEntries(names.map((name) => [name, this.variables.get(name)!]));
  }

  search(expression: string, caseSensitive: boolean): Search {
    const key = `${caseSensitive ? 'D' : ' '}${expression}`;
    let search = this.#searches.get(key);
    if (search === undefined) {
      search = compileSearch(expression, caseSensitive);
      this.#searches.set(key, search);
    }
    return search;
  }

  get(name: string): string | undefined {
    switch (name) {
      case '$':
        return String(this.#processId);
      case '#':
        return String(this.positional.length);
      case '-':
        return this.variables.get('LASTFOLDER');
      case '=':
        return this.variables.get('=') ?? '0';
      case '?':
        return this.variables.get('?') ?? '0';
      default:
        return /^[0-9]$/.test(name)
          ? name === '0'
            ? 'procmail'
            : this.positional[Number(name) - 1]
          : this.variables.get(name);
    }
  }
}
