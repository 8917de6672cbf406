/** Whom an answer goes to: formail's way to an address in a field, and its judgement of which field to believe. formail(1), -r and -t. */
import { bodyOf, type Field, hasName, isFromLine } from './field.ts';

/** Which fields an answer believes: the envelope's, the header's, the header's with those of a resent mail first. */
export type Trust = 'envelope' | 'header' | 'resent';

interface Source {
  readonly name: string;
  /** The higher, the more it is believed. */
  readonly weights: Readonly<Record<Trust, number>>;
}

const returnPath = 'Return-Path:';
const fromLine = 'From ';
const daemon = '<>';

const sources: readonly Source[] = [
  { name: 'Reply-To:', weights: { envelope: 0, header: 8, resent: 7 } },
  { name: 'From:', weights: { envelope: 1, header: 7, resent: 6 } },
  { name: 'Sender:', weights: { envelope: 2, header: 6, resent: 5 } },
  { name: 'Resent-Reply-To:', weights: { envelope: 3, header: 0, resent: 10 } },
  { name: 'Resent-From:', weights: { envelope: 4, header: 0, resent: 9 } },
  { name: 'Resent-Sender:', weights: { envelope: 5, header: 0, resent: 8 } },
  { name: 'Path:', weights: { envelope: 6, header: 1, resent: 0 } },
  { name: 'Return-Receipt-To:', weights: { envelope: 7, header: 2, resent: 1 } },
  { name: 'Errors-To:', weights: { envelope: 8, header: 3, resent: 2 } },
  { name: returnPath, weights: { envelope: 9, header: 5, resent: 4 } },
  { name: fromLine, weights: { envelope: 10, header: 4, resent: 3 } },
];

/** One step down in how good an address is counts more than all that fields differ by. */
const step = sources.length + 1;

interface Candidate {
  readonly address: string;
  readonly weight: number;
}

/** The address to answer to; undefined where no field holds one. */
export function senderOf(fields: readonly Field[], trust: Trust): string | undefined {
  let best: Candidate | undefined;
  for (const field of fields) {
    const source = sources.find(({ name }) => hasName(field, name));
    // A From_ line further down parts mails, and says nothing of this one.
    if (source === undefined || (source.name === fromLine && field !== fields[0])) continue;
    const found = candidateIn(field, source, trust);
    if (found !== undefined && (best === undefined || found.weight > best.weight)) best = found;
  }
  return best?.address;
}

function candidateIn(field: Field, { name, weights }: Source, trust: Trust): Candidate | undefined {
  const isPostmark = isFromLine(field.text) && name === fromLine;
  const value = bodyOf(field).slice(0, -1).split('\0')[0]!;
  const address = addressIn(isPostmark ? postmarkAddress(value) : value);
  if (address === undefined) return undefined;
  // RFC 5321 section 4.5.5: nobody is to be answered.
  if (address === '') return name === returnPath ? { address: daemon, weight: step } : undefined;
  const doubt = isPostmark && value.includes('\n') ? 2 : 0;
  return { address, weight: weights[trust] - doubt - step * defectOf(address) };
}

/** How far an address is from one that can be answered to. */
function defectOf(address: string): number {
  if (!/[@!/]/.test(address)) return 4;
  if (address.includes('.UUCP')) return 3;
  if (address.includes('@') && !address.includes('.')) return 2;
  return address.includes('!') ? 1 : 0;
}

/** The address of a From_ line, the last of them where `>From` lines follow, with the way that UUCP took it. */
function postmarkAddress(value: string): string {
  const lines = value.startsWith('\n') && value.includes(' ') ? value.slice(value.indexOf(' ') + 1) : value;
  let last = lines;
  for (let end = last.indexOf('\n'); end >= 0; end = last.indexOf('\n')) {
    const blank = last.indexOf(' ', end);
    if (blank < 0) break;
    last = last.slice(blank + 1);
  }
  const end = last.indexOf(' ');
  if (end < 0) return last;
  const user = last.slice(0, end);
  if (user.includes('@')) return `<${user}`;
  const hops = [...lines.matchAll(/ (?:remote from|forwarded by) ([^\n]*)/g)].map(([, host]) => `${host}!`);
  return `<${hops.join('')}${user}`;
}

/** The first address of a list, without comments and blanks; '' where there is nothing but comments, undefined where there is nothing. */
function addressIn(value: string): string | undefined {
  const words = new Words(value);
  words.skipBlank();
  let first: string | undefined;
  for (let next = words.peek(); next !== undefined; next = words.peek()) {
    const { word, ended } = words.read();
    if (next === '<') return word;
    first ??= word;
    if (ended && words.peek() !== '<') break;
  }
  return first;
}

/** What came before: a sign that joins, a word, blanks before any word, blanks after one. */
type State = 'joined' | 'word' | 'blank' | 'apart';

/** Reads phrases and addresses of RFC 5322 section 3.4, each without its comments and blanks. */
class Words {
  readonly #text: string;
  #at = 0;
  #word = '';

  constructor(text: string) {
    this.#text = text;
  }

  peek(): string | undefined {
    return this.#text[this.#at];
  }

  skipBlank(): void {
    while (/\s/.test(this.peek() ?? '')) this.#at += 1;
  }

  /** Up to the next word of a phrase, or to what ends an address. `<` begins one that has its own end. */
  read(): { readonly word: string; readonly ended: boolean } {
    this.#word = '';
    const bracketed = this.peek() === '<';
    if (bracketed) this.#at += 1;
    let group: 'open' | 'yes' | 'no' = 'open';
    let hasList = false;
    let state: State = 'joined' as State;
    for (;;) {
      const character = this.peek();
      if (character === undefined || character === '>') return this.#ending(hasList, true);
      if (character === '<') {
        if (!bracketed) return { word: this.#word, ended: false };
        this.#word = '';
        state = 'joined';
        this.#at += 1;
      } else if (character === '(' || /[ \t\n]/.test(character)) {
        if (character === '(') this.#skipComment();
        else this.#at += 1;
        state = state === 'word' || state === 'apart' ? 'apart' : 'blank';
      } else if (character === ',' || character === ';') {
        const listed = group === 'yes' || bracketed;
        if (!listed) return { word: this.#word, ended: true };
        if (group !== 'yes') hasList = true;
        this.#take(1);
        state = 'joined';
        if (group === 'yes' && character === ';') return this.#ending(hasList, true);
      } else if (character === ':' || character === '@' || character === '.') {
        if (group === 'open') group = character === ':' ? 'yes' : 'no';
        this.#take(1);
        state = 'joined';
      } else if (character === '[' || character === '"') {
        this.#takeQuoted(character === '[' ? ']' : '"');
        state = 'word';
      } else {
        if (!bracketed && state === 'apart' && this.#word !== '') return this.#ending(hasList, false);
        this.#take(character === '\\' ? 2 : 1);
        state = 'word';
      }
    }
  }

  /** A list between angle brackets needs them to be one address. */
  #ending(hasList: boolean, ended: boolean): { readonly word: string; readonly ended: boolean } {
    return { word: hasList ? `<${this.#word}>` : this.#word, ended };
  }

  #take(length: number): void {
    this.#word += this.#text.slice(this.#at, this.#at + length);
    this.#at += length;
  }

  #takeQuoted(end: string): void {
    this.#take(1);
    while (this.#at < this.#text.length) {
      const character = this.peek();
      this.#take(character === '\\' ? 2 : 1);
      if (character === end) return;
    }
  }

  /** Comments stand within one another. */
  #skipComment(): void {
    let depth = 0;
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (character === '\\') this.#at += 1;
      else if (character === '(') depth += 1;
      else if (character === ')') {
        depth -= 1;
        if (depth === 0) break;
      }
    }
    this.#at = Math.min(this.#at + 1, this.#text.length);
  }
}
