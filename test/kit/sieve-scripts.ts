/** Sieve scripts and messages from a seed: grammar-based, so that most of them compile. */
import type { RandomSource } from './random.ts';

const headers = ['Subject', 'From', 'To', 'Cc', 'X-A', 'X-B', 'X-Empty', 'List-Id', 'Missing'];
const addressHeaders = ['From', 'To', 'Cc', 'Sender'];
/** `?` stands for an octet in Pigeonhole and for a character here: it never meets an accent. */
const texts = [
  '',
  'a',
  'one',
  'Hello',
  'hello world',
  '*',
  'o?e',
  '*o*',
  'h*llo*',
  '?ello',
  '10',
  '9',
  'é',
  'É',
  'a@b.example',
];
const words = [
  'one',
  'two',
  'Hello',
  'world',
  '10',
  '007',
  'é',
  'Ünï',
  '<x@y.example>',
  '*',
  '?',
  '\\',
  ' ',
  '"q"',
];

const reference = (name: string) => `\${${name}}`;

/** Requires for everything that `randomScript` uses. */
const requires =
  'require ["fileinto", "copy", "envelope", "relational", "comparator-i;ascii-numeric", "variables", "imap4flags", "subaddress", "date", "index", "body", "regex", "encoded-character"];';

/** A script whose rules set a flag each, so that the actions tell which of them held. */
export function randomScript(random: RandomSource, rules: number): string {
  const lines = [requires];
  for (let rule = 0; rule < rules; rule++) {
    lines.push(`if ${randomTest(random, 2)} { addflag "r${rule}"; ${randomStep(random, rule)} }`);
  }
  return [...lines, `set "v" "v${reference('v1')}|${reference('v2')}";`, 'keep;', ''].join('\n');
}

function randomStep(random: RandomSource, rule: number): string {
  const steps = [
    '',
    `set "v1" "${reference('1')}";`,
    `set :upper "v2" "${reference('0')}${reference('v1')}";`,
    `set :length "v2" "${reference('1')}";`,
    `fileinto :copy "f${rule % 5}";`,
    'removeflag "r1";',
    `redirect :copy "x${rule % 3}@y.example";`,
  ];
  return random.pick(steps);
}

export function randomTest(random: RandomSource, depth: number): string {
  if (depth > 0 && random.below(4) === 0) {
    const inner = Array.from({ length: 1 + random.below(3) }, () => randomTest(random, depth - 1));
    return random.pick([`anyof(${inner.join(', ')})`, `allof(${inner.join(', ')})`, `not ${inner[0]}`]);
  }
  const keys = stringList(random, texts);
  const matching = randomMatch(random);
  return random.pick([
    `header ${matching} ${stringList(random, headers)} ${keys}`,
    `header ${matching} ${stringList(random, headers)} ${keys}`,
    `address ${matching} ${random.pick([':all', ':localpart', ':domain', ':user', ':detail', ''])} ${stringList(random, addressHeaders)} ${keys}`,
    `envelope ${matching} ${random.pick([':all', ':localpart', ':domain'])} ${random.pick(['"from"', '"to"', '["from", "to"]'])} ${keys}`,
    `exists ${stringList(random, headers)}`,
    `size ${random.pick([':over', ':under'])} ${random.pick(['100', '300', '1K'])}`,
    `string ${withComparator(matching)} ${stringList(random, [...texts, ...['v1', '1', 'hex:41'].map(reference)])} ${keys}`,
    `hasflag ${random.pick([':is', ':contains', ''])} ${stringList(random, ['r0', 'r1', 'r2', 'r'])}`,
    `header :regex ${stringList(random, headers)} ${random.pick(['"^h.*o"', '"[[:digit:]]+"', '"(one|two)( (.*))?$"', '"^$"'])}`,
    `header :index ${1 + random.below(2)} ${matching} "X-A" ${keys}`,
    `body ${random.pick([':raw', ':text'])} ${random.pick([':contains', ':is', ':matches'])} ${keys}`,
  ]);
}

/** Pigeonhole 0.5.19 has not the default that RFC 5229 section 5 gives to the string test. */
function withComparator(matching: string): string {
  return matching.includes(':comparator') ? matching : `${matching} :comparator "i;ascii-casemap"`;
}

function randomMatch(random: RandomSource): string {
  const comparator = random.pick(['', '', ':comparator "i;octet"', ':comparator "i;ascii-casemap"']);
  const relation = random.pick(['gt', 'ge', 'lt', 'le', 'eq', 'ne']);
  return random.pick([
    `:is ${comparator}`,
    `:contains ${comparator}`,
    `:matches ${comparator}`,
    `:matches ${comparator}`,
    `:value "${relation}" ${comparator}`,
    `:value "${relation}" :comparator "i;ascii-numeric"`,
    `:count "${relation}" :comparator "i;ascii-numeric"`,
  ]);
}

function stringList(random: RandomSource, from: readonly string[]): string {
  const items = Array.from({ length: 1 + random.below(3) }, () => quoted(random.pick(from)));
  return items.length === 1 ? items[0]! : `[${items.join(', ')}]`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** A message with the fields that the scripts ask about; CRLF line ends. */
export function randomMessage(random: RandomSource): string {
  const value = () =>
    Array.from({ length: 1 + random.below(4) }, () => random.pick(words.slice(0, 8))).join(' ');
  const address = () =>
    `${random.pick(['a', 'one+two', 'Hello', 'x'])}@${random.pick(['b.example', 'Y.Example'])}`;
  const mailbox = () => random.pick([address(), `"${random.pick(['One', 'T. Wo'])}" <${address()}>`]);
  const lines = [
    `From: ${mailbox()}`,
    `To: ${mailbox()}, ${mailbox()}`,
    ...(random.below(2) === 0 ? [`Cc: ${mailbox()}`] : []),
    `Subject: ${random.pick([value(), '=?utf-8?q?H=C3=A9llo?= one', ` ${value()}  `])}`,
    ...Array.from({ length: random.below(3) }, () => `X-A: ${value()}`),
    `X-B: ${value()}\r\n ${value()}`,
    ...(random.below(2) === 0 ? ['X-Empty:'] : []),
    'Date: Mon, 20 Jul 2009 21:44:43 +0300',
    '',
    ...Array.from({ length: 1 + random.below(4) }, value),
    '',
  ];
  return lines.join('\r\n');
}
