/**
 * procmail's own regular expressions, as egrep's with these differences: `^` and `$` both match a newline, and the text
 * has one before its first octet and one after its last; `^^` at either end of the expression anchors it there; `\<` and
 * `\>` match one octet that is no part of a word, a newline too; `\/` begins what goes into MATCH. procmailrc(5).
 * Expressions become a graph of states that is walked breadth first, so that none can run away.
 */
import { procmailLimits } from '../../core/base/limits/rules.ts';

/** Octets that one step of a match may consume. */
export type OctetSet = Uint8Array;

/** States by number: what each consumes, or where it leads without consuming anything. */
export type PatternState =
  | { readonly kind: 'octet'; readonly set: OctetSet; next: number }
  /** The first and the last place of the text. */
  | { readonly kind: 'anchor'; readonly at: 'begin' | 'end'; next: number }
  | { readonly kind: 'split'; next: number; other: number }
  | { readonly kind: 'mark'; next: number }
  | { readonly kind: 'accept' };

export interface Pattern {
  readonly states: readonly PatternState[];
  readonly start: number;
  /** It holds a `\/`. */
  readonly marks: boolean;
  /** What procmail calls an invalid expression, and makes something of. */
  readonly problem: string | undefined;
}

/** An expression past what the limits allow: its recipe does not match. */
export class PatternError extends Error {}

const newline = 10;
const headerStart = '(^((Original-)?(Resent-)?(To|Cc|Bcc)|(X-Envelope|Apparently(-Resent)?)-To):';
const daemonEnd = '(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\\t ][^<)]*(\\(.*\\).*)?)?$([^>]|$))'.replaceAll(
  '\\t',
  '\t',
);
const daemonStart = '(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )([^>]*[^(.%@a-z0-9])?(';

/** The shorthands of procmailrc(5), the longer names first, for they begin with the shorter ones. */
const macros: readonly (readonly [string, string])[] = [
  ['^TO_', `${headerStart}(.*[^-a-zA-Z0-9_.])?)`],
  ['^TO', `${headerStart}(.*[^a-zA-Z])?)`],
  [
    '^FROM_DAEMON',
    `(^(Mailing-List:|Precedence:.*(junk|bulk|list)|To: Multiple recipients of |${daemonStart}Post(ma?(st(e?r)?|n)|office)|(send)?Mail(er)?|daemon|m(mdf|ajordomo)|n?uucp|LIST(SERV|proc)|NETSERV|o(wner|ps)|r(e(quest|sponse)|oot)|b(ounce|bs\\.smtp)|echo|mirror|s(erv(ices?|er)|mtp(error)?|ystem)|A(dmin(istrator)?|MMGR|utoanswer))${daemonEnd})`,
  ],
  [
    '^FROM_MAILER',
    `(^${daemonStart}Post(ma(st(er)?|n)|office)|(send)?Mail(er)?|daemon|mmdf|n?uucp|ops|r(esponse|oot)|(bbs\\.)?smtp(error)?|s(erv(ices?|er)|ystem)|A(dmin(istrator)?|MMGR))${daemonEnd}`,
  ],
];

/** @throws PatternError */
export function compilePattern(expression: string, options: { readonly caseSensitive: boolean }): Pattern {
  return new Compiler(expandMacros(expression), options.caseSensitive).compile();
}

function expandMacros(expression: string): string {
  let expanded = expression;
  for (const [name, text] of macros) expanded = expanded.replaceAll(name, text);
  return expanded;
}

/** A piece of the graph: where it begins, and the links that lead out of it. */
interface Fragment {
  readonly start: number;
  readonly outs: readonly ((to: number) => void)[];
}

class Compiler {
  readonly #text: string;
  readonly #caseSensitive: boolean;
  #at = 0;
  #depth = 0;
  readonly #states: PatternState[] = [];
  #marks = false;
  #problem: string | undefined;

  constructor(text: string, caseSensitive: boolean) {
    this.#text = text;
    this.#caseSensitive = caseSensitive;
  }

  compile(): Pattern {
    const whole = this.#alternatives();
    if (this.#at < this.#text.length) this.#problem ??= 'a ")" too many: the expression ends there';
    const accept = this.#add({ kind: 'accept' });
    for (const out of whole.outs) out(accept);
    return { states: this.#states, start: whole.start, marks: this.#marks, problem: this.#problem };
  }

  #add(state: PatternState): number {
    if (this.#states.length >= procmailLimits.patternStatesMax)
      throw new PatternError('the expression is too long');
    this.#states.push(state);
    return this.#states.length - 1;
  }

  #alternatives(): Fragment {
    this.#depth += 1;
    if (this.#depth > procmailLimits.patternDepthMax) throw new PatternError('nested too deeply');
    let all = this.#sequence();
    while (this.#text[this.#at] === '|') {
      this.#at += 1;
      const other = this.#sequence();
      const start = this.#add({ kind: 'split', next: all.start, other: other.start });
      all = { start, outs: [...all.outs, ...other.outs] };
    }
    this.#depth -= 1;
    return all;
  }

  #sequence(): Fragment {
    let whole: Fragment | undefined;
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at]!)) {
      const piece = this.#repeated(this.#atom());
      if (whole === undefined) whole = piece;
      else {
        for (const out of whole.outs) out(piece.start);
        whole = { start: whole.start, outs: piece.outs };
      }
    }
    return whole ?? this.#nothing();
  }

  #nothing(): Fragment {
    const state = { kind: 'split' as const, next: -1, other: -1 };
    const start = this.#add(state);
    const out = (to: number) => {
      state.next = to;
      state.other = to;
    };
    return { start, outs: [out] };
  }

  /** A second sign after the first stands for itself. */
  #repeated(atom: Fragment): Fragment {
    const sign = this.#text[this.#at];
    if (sign !== '*' && sign !== '+' && sign !== '?') return atom;
    this.#at += 1;
    const state = { kind: 'split' as const, next: atom.start, other: -1 };
    const start = this.#add(state);
    const leave = (to: number) => {
      state.other = to;
    };
    if (sign === '?') return { start, outs: [...atom.outs, leave] };
    for (const out of atom.outs) out(start);
    return { start: sign === '*' ? start : atom.start, outs: [leave] };
  }

  #atom(): Fragment {
    const character = this.#text[this.#at]!;
    const isFirst = this.#at === 0;
    this.#at += 1;
    switch (character) {
      case '(': {
        const inner = this.#alternatives();
        if (this.#text[this.#at] === ')') this.#at += 1;
        else this.#problem ??= 'a "(" is never closed';
        return inner;
      }
      case '[':
        return this.#consume(this.#bracket());
      case '.':
        return this.#consume(allBut(newline));
      case '^':
        if (this.#text[this.#at] === '^') {
          if (isFirst) return this.#anchor('begin');
          if (this.#at === this.#text.length - 1) return this.#anchor('end');
        }
        return this.#consume(setOf(newline));
      case '$':
        return this.#consume(setOf(newline));
      case '\\':
        return this.#escaped();
      default:
        return this.#consume(this.#letter(character));
    }
  }

  #anchor(at: 'begin' | 'end'): Fragment {
    this.#at += 1;
    const state: PatternState = { kind: 'anchor', at, next: -1 };
    return this.#leading(state);
  }

  #escaped(): Fragment {
    const character = this.#text[this.#at];
    if (character === undefined) return this.#consume(setOf(0x5c));
    this.#at += 1;
    if (character === '<' || character === '>') return this.#consume(notInWord());
    if (character === '/') {
      this.#marks = true;
      return this.#leading({ kind: 'mark', next: -1 });
    }
    return this.#consume(this.#letter(character));
  }

  #consume(set: OctetSet): Fragment {
    return this.#leading({ kind: 'octet', set, next: -1 });
  }

  #leading(state: Exclude<PatternState, { kind: 'accept' }>): Fragment {
    const start = this.#add(state);
    const out = (to: number) => {
      state.next = to;
    };
    return { start, outs: [out] };
  }

  #letter(character: string): OctetSet {
    const set = setOf(character.charCodeAt(0) & 0xff);
    return this.#caseSensitive ? set : withBothCases(set);
  }

  #bracket(): OctetSet {
    const negated = this.#text[this.#at] === '^';
    if (negated) this.#at += 1;
    const set = new Uint8Array(256);
    const first = this.#at;
    for (;;) {
      const character = this.#text[this.#at];
      // What is never closed ends with the expression.
      if (character === undefined) this.#problem ??= 'a "[" is never closed';
      if (character === undefined || (character === ']' && this.#at > first)) break;
      this.#at += 1;
      const low = character.charCodeAt(0) & 0xff;
      const high = this.#rangeEnd() ?? low;
      // Of a range the wrong way round the two ends are left.
      set[high] = 1;
      set[low] = 1;
      for (let octet = low; octet <= high; octet++) set[octet] = 1;
    }
    this.#at += 1;
    const whole = this.#caseSensitive ? set : withBothCases(set);
    if (!negated) return whole;
    const rest = whole.map((has) => 1 - has);
    rest[newline] = 0;
    return rest;
  }

  /** After the first octet of a range: the last one, and past it. */
  #rangeEnd(): number | undefined {
    const end = this.#text[this.#at + 1];
    if (this.#text[this.#at] !== '-' || end === undefined || end === ']') return undefined;
    this.#at += 2;
    return end.charCodeAt(0) & 0xff;
  }
}

function setOf(octet: number): OctetSet {
  const set = new Uint8Array(256);
  set[octet] = 1;
  return set;
}

function allBut(octet: number): OctetSet {
  const set = new Uint8Array(256).fill(1);
  set[octet] = 0;
  return set;
}

/** Not [a-zA-Z0-9_]. */
function notInWord(): OctetSet {
  return new Uint8Array(256).map((_, octet) => (/\w/.test(String.fromCharCode(octet)) ? 0 : 1));
}

function withBothCases(set: OctetSet): OctetSet {
  const both = set.slice();
  for (let lower = 97; lower <= 122; lower++) {
    const has = set[lower]! | set[lower - 32]!;
    both[lower] = has;
    both[lower - 32] = has;
  }
  return both;
}
