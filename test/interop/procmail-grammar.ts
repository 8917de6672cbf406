/** Random rcfiles and mails that use all of procmail's language; what its own bugs make of some things is left out. */
import type { RandomSource } from '../kit/random.ts';

const words = 'hello world foo Subject a b To From body line bob @ e x o list 1'.split(' ');
const head = 'From me@x Sat Nov 21 09:00:00 2026\n';
const mails = [
  `${head}Subject: hello world foo\nTo: bob@a.b, al@c.d\nX-Long: one\n\ttwo\n three\nPrecedence: bulk\n\nbody aaa bbb\nsecond line\nFrom here\n`,
  `${head}To: b\nSubject: \n\n\n`,
  `${head.replace('me@x', 'MAILER-DAEMON')}From: postmaster@x\nTo: list@y\nSubject: a a a\n\nx`,
];

export function randomMail(random: RandomSource): string {
  const mail = random.pick(mails);
  const lines = Array.from(
    { length: random.below(4) },
    () => `${random.pick(words)} ${random.pick(words)}\n`,
  );
  return mail + lines.join('');
}

export function randomRcfile(random: RandomSource): string {
  return new Grammar(random).items(1 + random.below(6), 0);
}

class Grammar {
  readonly #random: RandomSource;
  #folders = 0;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  items(count: number, depth: number): string {
    return Array.from({ length: count }, () =>
      this.#chance(0.2) ? this.#assignment() : this.#recipe(depth),
    ).join('');
  }

  #chance(share: number): boolean {
    return this.#random.below(1000) < share * 1000;
  }

  #pick<Value>(...values: readonly Value[]): Value {
    return this.#random.pick(values);
  }

  #assignment(): string {
    return this.#pick(
      ...['X=ab\n', 'X="a b"\n', 'Y=`echo q`\n', 'Z=a.b\n', 'X=$MATCH\n', 'LOG="[$X|$=|$MATCH]\n"\n', 'X\n'],
      ...['LOGABSTRACT=all\n', 'LOGABSTRACT=yes\n', `Y="$X\${Z-no}\${Y:+yes}"\n`, 'UMASK=022\n'],
      `EXITCODE=${this.#random.below(80)}\n`,
    );
  }

  #recipe(depth: number): string {
    const conditions = Array.from({ length: this.#pick(0, 1, 1, 2, 3) }, () => `${this.#condition()}\n`).join(
      '',
    );
    let flags = this.#flags();
    const action = this.#action();
    if (action === undefined && depth < 3 && this.#chance(0.5)) {
      return `:0 ${flags}\n${conditions}{\n${this.items(1 + this.#random.below(3), depth + 1)}}\n`;
    }
    if (action === undefined) {
      flags = flags.replaceAll('c', '');
      const filter = this.#pick('sed s/foo/FOO/', 'cat', 'sed 2d', 'tr a-z A-Z', 'false', 'cat; echo end');
      return `:0 ${flags}fw\n${conditions}|${filter}\n`;
    }
    const isProgram = /^(?:V=)?\|/.test(action);
    // Nobody waits for a program without w, and what it leaves would depend on chance.
    if (isProgram && !/w/i.test(flags)) flags += 'w';
    // A lock within a folder that is not there yet is waited for in vain.
    const lock = /^(?:dir|md|mh)/.test(action) || this.#chance(0.8) ? '' : ':';
    return `:0 ${flags}${lock}\n${conditions}${action}\n`;
  }

  #flags(): string {
    const common = [...'HBDhbcwWir'].filter(() => this.#chance(0.15));
    const chained = [...'AaEe'].filter(() => this.#chance(0.1));
    const copy = !common.includes('c') && this.#chance(0.4) ? 'c' : '';
    return [...common, ...chained, copy].join('');
  }

  #condition(): string {
    const weight = this.#chance(0.3)
      ? `${this.#pick('1', '-1', '.5', '10', '-3', '2147483647', '100')}^${this.#pick('0', '1', '.5', '2', '-1', '.9')} `
      : '';
    const not = this.#chance(0.25) ? '! ' : '';
    const start = `* ${weight}`;
    const choice = this.#random.below(100);
    if (choice < 60) return `${start}${not}${this.#expression(0)}`;
    if (choice < 70)
      return `${start}${not}${this.#pick('B', 'H', 'HB', 'BH', 'X', 'MATCH')} ?? ${this.#expression(0)}`;
    if (choice < 80)
      return `${start}${not}${this.#pick('<', '>')} ${this.#pick(1, 50, 140, 142, 500, 3000, 100000)}`;
    if (choice < 90)
      return `${start}${not}? ${this.#pick('true', 'false', 'sh -c "exit 3"', 'test "$X" = ab', 'grep -q foo')}`;
    return `${start}$ ${not}${this.#pick('^Subject:.*$X', `\${Y:-foo}`, '$\\Z', `^To:.*\${X:+b}`)}`;
  }

  #expression(depth: number): string {
    const deeper = () => this.#expression(depth + 1);
    const choice = this.#random.below(100);
    if (depth > 3 || choice < 35) return this.#random.pick(words);
    if (choice < 50) return deeper() + deeper();
    if (choice < 60) return `(${deeper()}|${deeper()})`;
    if (choice < 70) return `(${deeper()})${this.#pick('*', '+', '?')}`;
    if (choice < 78)
      return this.#pick('.*', '.', '.+', '[a-z]', '[^a-z]', '[^ ]*', '[a-z ]+', '\\.', '\\<', '\\>');
    if (choice < 86) return this.#pick('^', '$', '^^', '^Subject:', '^To:', '^From') + deeper();
    if (choice < 92) return deeper() + this.#pick('$', '^', '^^', '');
    if (choice < 96) return `${deeper()}()\\/${deeper()}`;
    return this.#pick('^TO_', '^TO', '^FROM_DAEMON', '^FROM_MAILER') + this.#pick('', 'bob', 'list');
  }

  #action(): string | undefined {
    this.#folders += 1;
    const choice = this.#random.below(100);
    if (choice < 35) return `f${this.#folders % 5}`;
    if (choice < 42) return this.#pick('dir', 'md/', 'mh/.', 'dir mh/.');
    if (choice < 50) return '/dev/null';
    if (choice < 62) return `|cat >>p${this.#folders % 3}`;
    if (choice < 68) return `V=|${this.#pick('echo hi', 'cat', 'wc -c')}`;
    return choice < 72 ? '! a@b $X' : undefined;
  }
}
