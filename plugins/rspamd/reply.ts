/** What rspamd answers to /checkv2, checked: its JSON comes from outside. */

export type RspamdAction =
  | 'no action'
  | 'greylist'
  | 'add header'
  | 'rewrite subject'
  | 'soft reject'
  | 'reject'
  | 'quarantine'
  | 'discard';

export interface RspamdSymbol {
  readonly name: string;
  readonly score: number;
  readonly options: readonly string[];
}

/** One header field that the milter block adds: where, counted from the top; negative from the end. */
export interface AddedField {
  readonly name: string;
  readonly value: string;
  readonly order: number;
}

export interface RspamdReply {
  readonly action: RspamdAction;
  /** Its settings keep it from looking at such mail. */
  readonly skipped: boolean;
  readonly score: number;
  /** Points from which on each action is taken, where rspamd tells. */
  readonly thresholds: ReadonlyMap<string, number>;
  readonly requiredScore: number;
  readonly symbols: readonly RspamdSymbol[];
  readonly subject?: string;
  /** What the client is to read. */
  readonly smtpMessage?: string;
  readonly dkimSignatures: readonly string[];
  readonly added: readonly AddedField[];
  /** Field and which one: 0 all, from 1 the nth, negative from the end. */
  readonly removed: readonly { readonly name: string; readonly nth: number }[];
  readonly changeFrom?: string;
  readonly addRecipients: readonly string[];
  readonly deleteRecipients: readonly string[];
}

const actions: ReadonlySet<string> = new Set([
  'no action',
  'greylist',
  'add header',
  'rewrite subject',
  'soft reject',
  'reject',
  'quarantine',
  'discard',
] satisfies RspamdAction[]);

/** @throws Error for what is no verdict: then nothing is known of the message */
export function parseRspamdReply(text: string): RspamdReply {
  const json = objectOf(parse(text));
  if (json === undefined) throw new Error('rspamd answers with something else than an object');
  if (typeof json.error === 'string') throw new Error(`rspamd says: ${json.error}`);
  const { action, score } = json;
  if (typeof action !== 'string' || !actions.has(action)) {
    throw new Error(`rspamd's answer has no action that is known: ${JSON.stringify(action)}`);
  }
  if (typeof score !== 'number') throw new Error("rspamd's answer has no score");
  const milter = objectOf(json.milter) ?? {};
  return {
    action: action as RspamdAction,
    // It also stops early where it has seen enough (GTUBE, a rule that is final), and then has decided.
    skipped: json.is_skipped === true && action === 'no action',
    score,
    thresholds: numbersOf(json.thresholds),
    requiredScore: typeof json.required_score === 'number' ? json.required_score : 15,
    symbols: symbolsOf(json.symbols),
    ...textOf(json.subject, 'subject'),
    ...textOf(objectOf(json.messages)?.smtp_message, 'smtpMessage'),
    dkimSignatures: listOf(json['dkim-signature']).filter((each) => typeof each === 'string'),
    added: addedOf(milter.add_headers),
    removed: removedOf(milter.remove_headers),
    ...textOf(milter.change_from, 'changeFrom'),
    addRecipients: listOf(milter.add_rcpt).filter((each) => typeof each === 'string'),
    deleteRecipients: listOf(milter.del_rcpt).filter((each) => typeof each === 'string'),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`rspamd's answer is no JSON: ${JSON.stringify(text.slice(0, 80))}`);
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

function textOf<Key extends string>(value: unknown, key: Key): { readonly [Name in Key]?: string } {
  return typeof value === 'string' && value !== '' ? ({ [key]: value } as { [Name in Key]: string }) : {};
}

function numbersOf(value: unknown): ReadonlyMap<string, number> {
  const entries = Object.entries(objectOf(value) ?? {});
  return new Map(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
}

function symbolsOf(value: unknown): RspamdSymbol[] {
  return Object.entries(objectOf(value) ?? {}).map(([name, given]) => {
    const symbol = objectOf(given) ?? {};
    return {
      name,
      score: typeof symbol.score === 'number' ? symbol.score : 0,
      options: listOf(symbol.options).filter((each) => typeof each === 'string'),
    };
  });
}

/** `name: value`, `name: { value, order }`, or a list of these. */
function addedOf(value: unknown): AddedField[] {
  return Object.entries(objectOf(value) ?? {}).flatMap(([name, given]) =>
    listOf(given).flatMap((each): AddedField[] => {
      if (typeof each === 'string') return [{ name, value: each, order: -1 }];
      const { value: text, order = -1 } = objectOf(each) ?? {};
      return typeof text === 'string' && typeof order === 'number' ? [{ name, value: text, order }] : [];
    }),
  );
}

function removedOf(value: unknown): { name: string; nth: number }[] {
  return Object.entries(objectOf(value) ?? {}).flatMap(([name, given]) =>
    listOf(given).flatMap((nth) => (typeof nth === 'number' ? [{ name, nth }] : [])),
  );
}
