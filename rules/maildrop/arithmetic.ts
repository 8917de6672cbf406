/** The operators and functions of maildrop's expressions that need nothing but their operands. maildropfilter(7). */
import { formatNumber, integerOf, numberOf } from './values.ts';

/** Of all operators that ask for both sides. */
export function operate(sign: string, first: string, second: string): string {
  const compare = comparisons[sign];
  if (compare === undefined) return formatNumber(arithmetic(sign, numberOf(first), numberOf(second)));
  const holds = /[a-z]/.test(sign)
    ? compare(first < second ? -1 : Number(first > second))
    : compareNumbers(compare, numberOf(first), numberOf(second));
  return holds ? '1' : '0';
}

const comparisons: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
  '==': (order) => order === 0,
  '!=': (order) => order !== 0,
  lt: (order) => order < 0,
  le: (order) => order <= 0,
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
};

/** What is no number is neither less nor more nor equal. */
function compareNumbers(compare: (order: number) => boolean, left: number, right: number): boolean {
  return compare(left < right ? -1 : left > right ? 1 : left === right ? 0 : Number.NaN);
}

function arithmetic(sign: string, left: number, right: number): number {
  switch (sign) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default: {
      const [a, b] = [unsigned(left), unsigned(right)];
      return Number(BigInt.asUintN(64, sign === '|' ? a | b : a & b));
    }
  }
}

function unsigned(value: number): bigint {
  return BigInt.asUintN(64, BigInt(Number.isFinite(value) ? Math.trunc(value) : 0));
}

/** From an offset on, as many octets as asked for. */
export function substring(text: string, from: string, count: string | undefined): string {
  const start = Number(integerOf(from));
  const rest = start < 0 ? '' : text.slice(start);
  const wanted = count === undefined ? -1 : Number(integerOf(count));
  return wanted < 0 ? rest : rest.slice(0, wanted);
}
