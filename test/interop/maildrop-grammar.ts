/** Random filters that use maildrop's language; each ends, and prints or stores what it found. */
import type { RandomSource } from '../kit/random.ts';

const words = [
  'hello',
  'world',
  'foo',
  'Subject',
  'bob',
  'a',
  'b',
  'X',
  'second line',
  '',
  '0',
  '1',
  '2.5',
  '-3',
  '10',
];
/** None matches nothing: maildrop would find it for ever. */
const patterns = [
  ...['hello', '^Subject: (.*)', '^From:.*<(.*)>', '[a-z]+', 'o', '(b)(o)(b)', '^To:\\s*(\\S+)', '\\d+', '.'],
  ...[
    'x+',
    'foo$',
    '(?:world|hello) (\\w+)',
    '[^ ]+@[^ ,]+',
    'a{2,3}',
    '(a|b)+?',
    'o$A',
    '^(.)(.?)',
    '[[:upper:]]',
    '\\.',
  ],
];
const options = ['', '', ':h', ':b', ':hb', ':D', ':bD', ':h,1', ':b,2,.5', ':hb,1,2', ':,3'];
/** Division stands in the table: what infinity is as an integer is chance. */
const signs = [
  '+',
  '-',
  '*',
  '<',
  '<=',
  '>',
  '>=',
  '==',
  '!=',
  'lt',
  'le',
  'gt',
  'ge',
  'eq',
  'ne',
  '|',
  '&',
  '||',
  '&&',
];

export function randomFilter(random: RandomSource): string {
  return new Grammar(random).filter();
}

class Grammar {
  readonly #random: RandomSource;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  filter(): string {
    const end = this.#random.pick(['exit\n', 'to "box"\n', 'EXITCODE=3\nexit\n', 'to "md"\n', '']);
    return `DEFAULT="default"\n${this.#statements(3 + this.#random.below(6), 0)}${end}`;
  }

  #statements(count: number, depth: number): string {
    return Array.from({ length: count }, () => `${this.#statement(depth)}\n`).join('');
  }

  #statement(depth: number): string {
    const choice = this.#random.below(100);
    if (choice < 35) return `echo ${this.#value(0)}`;
    if (choice < 55) return `${this.#variable()}=${this.#value(0)}`;
    if (choice < 62) return `${this.#pattern()}\necho "$MATCH|$MATCH1|$MATCH2"`;
    if (choice < 68) return `cc "${this.#random.pick(['one', 'two', 'md', 'box'])}"`;
    if (choice < 71) return `cc "|cat >>${this.#random.pick(['p', 'q'])}; exit ${this.#random.below(3)}"`;
    if (choice < 74) return `xfilter "sed -e s/o/0/"`;
    if (choice < 77)
      return `${this.#variable()}=\`echo $A x; exit ${this.#random.below(2)}\`\necho $RETURNCODE`;
    if (depth > 2) return 'echo "$A$B$C"';
    const body = () => `{\n${this.#statements(1 + this.#random.below(2), depth + 1)}}`;
    if (choice < 88) {
      const otherwise = this.#random.pick([
        '',
        `\nelse\n${body()}`,
        `\nelsif (${this.#value(0)})\n${body()}\nelse\n${body()}`,
      ]);
      return `if (${this.#value(0)})\n${body()}${otherwise}`;
    }
    if (choice < 94)
      return `foreach ${this.#random.below(2) === 0 ? this.#pattern() : `(${this.#value(1)}) =~ ${this.#pattern()}`}\n${body()}`;
    if (choice < 97) return `N=0\nwhile ($N < 3)\n{\nN=$N + 1\necho $N\n}`;
    return `exception\\\n ${body()}`;
  }

  #variable(): string {
    return this.#random.pick(['A', 'B', 'C']);
  }

  #pattern(): string {
    return `/${this.#random.pick(patterns)}/${this.#random.pick(options)}`;
  }

  #value(depth: number): string {
    const choice = this.#random.below(100);
    const deeper = () => this.#value(depth + 1);
    if (depth > 2 || choice < 25) return `"${this.#random.pick(words)}"`;
    if (choice < 40)
      return this.#random.pick(['$A', '$B', '"$A-$C"', "'$A'", '$MATCH', '$SIZE', '$LINES', '"x" $B', '7']);
    if (choice < 65) return `(${deeper()} ${this.#random.pick(signs)} ${deeper()})`;
    if (choice < 72) return `${this.#random.pick(['!', '! '])}${deeper()}`;
    if (choice < 80) return `(${deeper()} =~ ${this.#pattern()})`;
    if (choice < 86)
      return `${this.#random.pick(['length', 'tolower', 'toupper', 'escape', 'hasaddr'])}(${deeper()})`;
    if (choice < 90) return `substr(${deeper()}, ${this.#random.below(4)}, ${this.#random.below(4)})`;
    // Found in the mail, a pattern is 2 to maildrop, which looks at the line once more.
    return `(! ! ${this.#pattern()})`;
  }
}
