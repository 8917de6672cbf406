/** maildrop's texts as numbers and truths, and back. maildropfilter(7), "Expressions". */

/** As atof(3): what begins the text, 0 where it is no number. */
export function numberOf(text: string): number {
  const found =
    /^\s*([-+]?0x[\da-f]+|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:inf(?:inity)?|nan))/i.exec(text);
  const digits = found?.[1]?.toLowerCase() ?? '0';
  if (digits.includes('inf')) return digits.startsWith('-') ? -Infinity : Infinity;
  if (digits.includes('nan')) return Number.NaN;
  // Number takes no sign before 0x.
  return digits.startsWith('-') ? -Number(digits.slice(1)) : Number(digits.replace('+', ''));
}

/** As atol(3). */
export function integerOf(text: string): bigint {
  return BigInt(/^\s*([-+]?\d{1,18})/.exec(text)?.[1]?.replace('+', '') ?? '0');
}

const significantDigits = 22;

/** As printf(3) writes it with `%.22g`. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return '-nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (Number.isSafeInteger(value)) return String(value);
  const [mantissa = '', power = '0'] = value.toExponential(significantDigits - 1).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < significantDigits) {
    // Beyond 1e21 there is no fraction, and toFixed does not write digits.
    return exponent === significantDigits - 1
      ? String(BigInt(value))
      : tidied(value.toFixed(significantDigits - 1 - exponent));
  }
  const digits = String(Math.abs(exponent)).padStart(2, '0');
  return `${tidied(mantissa)}e${exponent < 0 ? '-' : '+'}${digits}`;
}

function tidied(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}

/** False are the empty text and the number 0; `0.0` is none to maildrop. */
export function isTrue(text: string): boolean {
  return !/^\s*(?:0?|\.0+|0\.00+)\s*$/.test(text);
}

/** As maildrop's echo and log read backslashes; a line end follows unless the text ends in `\c`. */
export function unescaped(text: string): string {
  const whole = /\\c$/.test(text) && !/(?:^|[^\\])(?:\\\\)+c$/.test(text) ? text.slice(0, -2) : `${text}\n`;
  const letters: Readonly<Record<string, string>> = {
    n: '\n',
    r: '\r',
    t: '\t',
    f: '\f',
    v: '\v',
    a: '\x07',
    b: '\b',
  };
  return whole.replace(/\\(?:([0-7]+)|([^\n]))/g, (_, octal?: string, letter?: string) =>
    octal === undefined
      ? (letters[letter!] ?? letter!)
      : String.fromCharCode(Number.parseInt(octal, 8) & 0xff),
  );
}

/** Characters that mean something to patterns or to a shell. maildropfilter(7), "escape". */
export function escapeText(text: string): string {
  return text.replace(/[|!$()[\]\\+*?.&;`'\-~<>^{}"]/g, '\\$&');
}
