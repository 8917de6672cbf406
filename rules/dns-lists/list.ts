/** A DNS list as configured: its name, what its answers mean, and what a hit does. RFC 5782, RFC 8904. */
import { type AnswerTest, answersIn, answersOfTrust, answersWithBits, isListing } from './answer.ts';

/** `allow`: a good client is not refused for what other lists say. */
export type ListAction = 'reject' | 'score' | 'mark' | 'allow';

/** One meaning of an answer. */
export interface Meaning {
  readonly matches: AnswerTest;
  /** Empty where the list has one meaning only. */
  readonly name: string;
  readonly symbol: string;
  readonly action: ListAction;
  readonly score: number;
}

export interface DnsList {
  /** What is asked: without a dot at the end, lower case. */
  readonly zone: string;
  /** What is told to clients and in headers: the zone without the key of a customer. */
  readonly name: string;
  readonly meanings: readonly Meaning[];
  /** Answers by which the list says that it does not serve us. */
  readonly refuses: AnswerTest;
  /** What becomes of the mail when the list cannot be asked: the plugin has failed, or goes on without the list. */
  readonly onFailure: 'policy' | 'continue';
}

export interface ListDefaults {
  readonly action: ListAction;
  readonly score: number;
  /** What symbols begin with: `DNSBL`. */
  readonly prefix: string;
}

interface CodeOptions {
  readonly name: string;
  readonly answers?: readonly string[];
  readonly mask?: number;
  readonly action?: ListAction;
  readonly score?: number;
}
export interface ListOptions {
  readonly zone: string;
  readonly answers?: readonly string[];
  readonly codes?: readonly CodeOptions[];
  readonly trust?: number;
  readonly refusals?: readonly string[];
  readonly action?: ListAction;
  readonly score?: number;
  readonly onFailure?: DnsList['onFailure'];
}

/** Points of the four levels, as SpamAssassin gives them. RFC 8904 section 3.1. */
const trustLevels = [
  ['NONE', 0],
  ['LOW', -0.7],
  ['MEDIUM', -2.3],
  ['HIGH', -5],
] as const;

/** Spamhaus and others: 127.255.255.x, and 127.0.1.255 to addresses; SURBL and URIBL: 127.0.0.1; dnswl.org: 127.0.0.255. */
const refusalsByDefault = ['127.255.255.0/24', '127.0.0.1', '127.0.0.255', '127.0.1.255'];

/** @throws Error for an answer outside 127.0.0.0/8, a code without a meaning, or settings that exclude each other */
export function readList(options: ListOptions, defaults: ListDefaults): DnsList {
  const zone = options.zone.toLowerCase().replace(/\.$/, '');
  const name = withoutKey(zone);
  const of = `zones: ${name}`;
  const { codes, trust, answers } = options;
  if ([codes, trust, answers].filter((each) => each !== undefined).length > 1) {
    throw new Error(`${of}: answers, codes and trust exclude each other`);
  }
  return {
    zone,
    name,
    meanings: meaningsOf(options, name, of, defaults),
    refuses: answersIn(options.refusals ?? refusalsOf(options), of),
    onFailure: options.onFailure ?? 'policy',
  };
}

/** An answer that the config gives a meaning is no refusal. */
function refusalsOf({ answers = [], codes = [] }: ListOptions): string[] {
  const meant = [...answers, ...codes.flatMap((code) => code.answers ?? [])];
  return refusalsByDefault.filter((refusal) => !meant.includes(refusal));
}

function meaningsOf(options: ListOptions, list: string, of: string, defaults: ListDefaults): Meaning[] {
  const action = options.action ?? (options.trust === undefined ? defaults.action : 'allow');
  const score = options.score ?? (action === 'allow' ? -defaults.score : defaults.score);
  const symbol = symbolOf(defaults.prefix, list);
  if (options.trust !== undefined) {
    const from = options.trust;
    return trustLevels.map(([word, points], level) => ({
      matches: answersOfTrust(level),
      name: word.toLowerCase(),
      symbol: symbolOf(defaults.prefix, list, word),
      action: level >= from ? action : 'score',
      score: points,
    }));
  }
  if (options.codes === undefined) {
    const matches = options.answers === undefined ? isListing : answersIn(options.answers, of);
    return [{ matches, name: '', symbol, action, score }];
  }
  return options.codes.map((code) => ({
    matches: testOf(code, of),
    name: code.name,
    symbol: symbolOf(defaults.prefix, list, code.name),
    action: code.action ?? action,
    score: code.score ?? score,
  }));
}

function testOf({ name, answers, mask }: CodeOptions, of: string): AnswerTest {
  if ((answers === undefined) === (mask === undefined)) {
    throw new Error(`${of}: code ${name}: either answers or mask says what it is`);
  }
  return answers === undefined ? answersWithBits(mask ?? 0) : answersIn(answers, of);
}

/** Lists that are paid for have a key as their first label, `<key>.zen.dq.spamhaus.net`, which nobody else is to learn. */
function withoutKey(zone: string): string {
  return zone.replace(/^[a-z0-9]{20,63}\.(?=[^.]+\.)/, '');
}

/** `DNSBL_ZEN_EXAMPLE_XBL`; the end of a long name says more than its beginning. */
function symbolOf(...parts: readonly string[]): string {
  const [prefix = '', ...rest] = parts.map((part) => part.toUpperCase().replace(/[^A-Z0-9]+/g, '_'));
  return `${prefix}_${rest.join('_').slice(-(symbolCharactersMax - prefix.length - 1))}`;
}

const symbolCharactersMax = 64;
