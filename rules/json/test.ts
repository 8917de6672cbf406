/** What a condition asks of the values of its subject: `matches`, `contains`, `in` and their like. */
import { BlockList, isIP } from 'node:net';
import { ruleLimits } from '../../core/base/limits/rules.ts';
import { compilePattern, PatternError } from '../../core/mail/safe-pattern.ts';
import { type JsonObject, readBoolean, readChoice, readString, readStrings } from './read.ts';
import { RuleError } from './rule-error.ts';

/** True when some value passes, or, for `exists` and `absent`, by there being any. */
export type ValueTest = (values: readonly string[]) => boolean;

export const testKeys = [
  'matches',
  'contains',
  'equals',
  'startsWith',
  'endsWith',
  'in',
  'within',
  'exists',
  'absent',
] as const;
type TestKey = (typeof testKeys)[number];

/** @throws RuleError when there is no test, more than one, or one that cannot be used */
export function compileTest(condition: JsonObject, where: string): ValueTest {
  const key = readChoice(condition, testKeys, where);
  const place = `${where}: ${key}`;
  if (key === 'exists' || key === 'absent') {
    if (readBoolean(condition[key], place) !== true) throw new RuleError(place, 'can be true only');
    return (values) => values.length > 0 === (key === 'exists');
  }
  const caseSensitive = readBoolean(condition.caseSensitive ?? false, `${where}: caseSensitive`);
  const passes = compileValueTest(key, condition[key], caseSensitive, place);
  return (values) => values.some(passes);
}

function compileValueTest(
  key: Exclude<TestKey, 'exists' | 'absent'>,
  wanted: unknown,
  caseSensitive: boolean,
  where: string,
): (value: string) => boolean {
  if (key === 'matches') return compileMatches(readString(wanted, where), caseSensitive, where);
  if (key === 'within') return compileWithin(readStrings(wanted, where), where);
  const fold = (text: string) => (caseSensitive ? text : text.toLowerCase());
  if (key === 'in') {
    const members = new Set(readStrings(wanted, where).map(fold));
    return (value) => members.has(fold(value));
  }
  // An empty text is a fair thing to equal, and no sensible thing to contain.
  const text = key === 'equals' && wanted === '' ? '' : fold(readString(wanted, where));
  const compare = {
    contains: (value: string) => value.includes(text),
    equals: (value: string) => value === text,
    startsWith: (value: string) => value.startsWith(text),
    endsWith: (value: string) => value.endsWith(text),
  }[key];
  return (value) => compare(fold(value));
}

function compileMatches(source: string, caseSensitive: boolean, where: string): (value: string) => boolean {
  try {
    const pattern = compilePattern(source, caseSensitive ? 'm' : 'im');
    return (value) => pattern.test(value);
  } catch (error) {
    if (error instanceof PatternError) throw new RuleError(where, error.message);
    throw error;
  }
}

/** Networks as `192.0.2.0/24` or single addresses. */
function compileWithin(networks: readonly string[], where: string): (value: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : Number(prefix);
    if (version === 0 || !/^\d*$/.test(prefix ?? '') || prefix === '' || length > bits) {
      throw new RuleError(where, `${JSON.stringify(network)} is no network, such as 192.0.2.0/24`);
    }
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return (value) => {
    const version = isIP(value);
    return version !== 0 && list.check(value, version === 4 ? 'ipv4' : 'ipv6');
  };
}

/** Values cut to what a condition looks at. */
export function bounded(values: readonly string[]): readonly string[] {
  const { headerValueCharsMax, valuesMax } = ruleLimits;
  return values
    .slice(0, valuesMax)
    .map((value) => (value.length > headerValueCharsMax ? value.slice(0, headerValueCharsMax) : value));
}
