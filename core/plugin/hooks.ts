/** The hooks a plugin may have, what each is given, and the context that replaces the outside world. */
import type { Clock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import type { Envelope, Recipient } from '../mail/envelope.ts';
import type { Message } from '../mail/message.ts';
import type { Connection, Session } from '../session/connection.ts';
import type { ImapEvent } from '../session/imap-event.ts';
import type { HookName, Power } from '../session/powers.ts';
import type { AuthResult, HookResult, Results, ScoredSymbol } from '../session/results.ts';

/** What every hook is given. All of it is read-only: a hook answers, it does not change. */
export interface HookInput {
  readonly connection: Connection;
  readonly session: Session;
  /** What plugins before this one left, by plugin name. */
  readonly results: Results;
}
export interface TransactionInput extends HookInput {
  /** Transaction id; the same id stands in Received, the logs and the trace. */
  readonly id: string;
  /** With the sender and recipient edits of earlier plugins applied. */
  readonly envelope: Envelope;
}
export interface RcptToInput extends TransactionInput {
  /** The recipient being asked about; not yet in `envelope.recipients`. */
  readonly recipient: Recipient;
  /** What routing says of the recipient so far. */
  readonly route: 'mailbox' | 'relay' | 'unknown-user' | 'refused';
}
export interface MessageInput extends TransactionInput {
  readonly message: Message;
  /** Sum of the scores and all symbols of the plugins before. */
  readonly score: number;
  readonly symbols: readonly ScoredSymbol[];
  /** Authentication results of the plugins before: what our Authentication-Results field will say. RFC 8601. */
  readonly auth: readonly AuthResult[];
}
export interface DeliverInput extends MessageInput {
  readonly recipient: Recipient;
  /** The local user the mail is for, and the part after the `+`. */
  readonly user: string;
  readonly detail: string;
  /** All addresses of that user, the canonical one first. */
  readonly addresses: readonly string[];
}
export interface SendInput extends MessageInput {
  /** Host or transport the message goes to next. */
  readonly nextHop: string;
}
export interface MovedInput {
  readonly user: string;
  readonly message: Message;
  /** The folder it lies in now is `to`; equal where it was not moved: added, or its flags were changed. */
  readonly from: string;
  readonly to: string;
  readonly flags: readonly string[];
  readonly results: Results;
  /** The script that the mailbox names for what happens to it by IMAP; none where it names none. RFC 6785. */
  readonly event?: ImapEvent;
}
export interface CloseInput extends HookInput {
  /** `quit`, `lost`, `timeout`, `limit`, `shutdown`. */
  readonly reason: string;
}

export interface HookInputs {
  connect: HookInput;
  helo: HookInput;
  auth: HookInput;
  mailFrom: TransactionInput;
  rcptTo: RcptToInput;
  data: TransactionInput;
  headers: MessageInput;
  message: MessageInput;
  deliver: DeliverInput;
  send: SendInput;
  moved: MovedInput;
  close: CloseInput;
}

/** DNS as plugins see it: every failure is a DnsError whose `temporary` tells SERVFAIL and timeout from bad names. NXDOMAIN and NODATA answer with an empty list; `exists` tells them apart. */
export interface PluginDns {
  a(name: string): Promise<string[]>;
  aaaa(name: string): Promise<string[]>;
  /** Each TXT record with its strings joined. */
  txt(name: string): Promise<string[]>;
  mx(name: string): Promise<{ exchange: string; preference: number }[]>;
  ptr(ip: string): Promise<string[]>;
  ns(name: string): Promise<string[]>;
  cname(name: string): Promise<string[]>;
  /** False for NXDOMAIN alone. RFC 8020. */
  exists(name: string): Promise<boolean>;
  srv(name: string): Promise<{ name: string; port: number; priority: number; weight: number }[]>;
}

/** Keys with a time to live, and counters, kept by the core beyond this transaction. Keys are private to the plugin. */
export interface PluginState {
  get(key: string): Promise<Json | undefined>;
  set(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<void>;
  delete(key: string): Promise<void>;
  /** Adds to a counter (0 when missing) and answers the new value. */
  increment(key: string, by?: number, options?: { ttlSeconds?: number }): Promise<number>;
  /** True for the one caller that set the key; false when it was there. */
  setIfAbsent(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<boolean>;
  /** Keys that begin with prefix, at most `limit` (default 1000), in byte order. */
  list(prefix: string, limit?: number): Promise<string[]>;
  /** The values of those keys that are there, in one question. */
  getAll(keys: readonly string[]): Promise<Record<string, Json>>;
  /** Adds the same to many counters; unlike with `increment` their time to live begins anew. */
  incrementAll(keys: readonly string[], by: number, options?: { ttlSeconds?: number }): Promise<void>;
}

export const ruleLanguages = ['sieve', 'procmail', 'maildrop'] as const;
export type RuleLanguage = (typeof ruleLanguages)[number];

/** A script of a user's. The same object comes again as long as the script is the same, where the plugin names its language in `scripts`. */
export interface UserScript {
  readonly name: string;
  readonly source: string;
  /** Tells it from every other script that this user had or has; absent where nobody knows. */
  readonly version?: string;
}

export interface PluginScripts {
  /** The user's active script of that language, or undefined. */
  load(language: RuleLanguage): Promise<UserScript | undefined>;
  /** Another script of the user's, by name: for `include`. */
  load(language: RuleLanguage, name: string): Promise<UserScript | undefined>;
  /** A line in the log that the user reads beside the scripts: what went wrong with them. */
  note(language: RuleLanguage, text: string): Promise<void>;
}
export interface PluginMailboxes {
  exists(mailbox: string): Promise<boolean>;
  list(): Promise<string[]>;
  /** RFC 5464; '' is the server. */
  metadata(mailbox: string, entry: string): Promise<string | undefined>;
  /** The folder of that MAILBOXID, undefined where there is none. RFC 8474. */
  withId(id: string): Promise<string | undefined>;
  /** Folders with that attribute, such as `\\Junk`. RFC 6154. */
  specialUse(attribute: string): Promise<string[]>;
}

/** Everything a hook may use of the outside world; a test or a replay hands in others. */
export interface HookContext<Options = unknown, Prepared = unknown> {
  readonly options: Options;
  /** What the plugin's setup answered in this thread, for this entry of the config; shared by all its hooks. */
  readonly prepared: Prepared;
  readonly dns: PluginDns;
  readonly state: PluginState;
  readonly clock: Clock;
  /** Epoch milliseconds after which the answer comes too late. */
  readonly deadline: number;
  /** Aborted when the deadline passes: hand it to what you wait for. */
  readonly signal: AbortSignal;
  /** A line in the trace and the log; `event` is one fixed word, facts vary. */
  log(event: string, facts?: Readonly<Record<string, Json>>): void;
  /** What this installation is called. */
  readonly hostname: string;
  /** Domains this installation takes mail for. */
  readonly domains: readonly string[];
  /** `deliver` hook only. */
  readonly scripts: PluginScripts;
  readonly mailboxes: PluginMailboxes;
}

export type Hook<Name extends HookName, Options, Prepared = undefined> = (
  input: HookInputs[Name],
  context: HookContext<Options, Prepared>,
) => HookResult | Promise<HookResult>;

export type Hooks<Options, Prepared = undefined> = {
  readonly [Name in HookName]?: Hook<Name, Options, Prepared>;
};

/** Where a plugin stands in verify -> score -> mutate -> sign. */
export type PluginKind = 'verify' | 'score' | 'mutate' | 'sign' | 'deliver';

/** What a plugin looks at and changes: `header:*`, `header:Subject`, `body`, `sender`, `recipients`. */
export type EffectName = `header:${string}` | 'body' | 'sender' | 'recipients';

export interface Effects {
  readonly kind?: PluginKind;
  readonly reads?: readonly EffectName[];
  readonly writes?: readonly EffectName[];
}

/** What the setup of a plugin, once per thread and config entry, is given. */
export interface SetupContext<Options> {
  readonly options: Options;
  readonly clock: Clock;
  readonly hostname: string;
  readonly domains: readonly string[];
  /** Directory of the config file: relative paths in options start here. */
  readonly baseDirectory: string;
  log(event: string, facts?: Readonly<Record<string, Json>>): void;
}

/** What dispose is given: whatever setup opened is to be closed. */
export interface DisposeContext<Options, Prepared> {
  readonly options: Options;
  readonly prepared: Prepared;
}

/** JSON Schema of one option; the subset that is typed at compile time, all of JSON Schema at load. */
export interface OptionSchema {
  readonly type?: 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';
  readonly description?: string;
  readonly default?: Json;
  readonly enum?: readonly Json[];
  readonly items?: OptionSchema;
  readonly properties?: Readonly<Record<string, OptionSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | OptionSchema;
  readonly [keyword: string]: unknown;
}
export type OptionSchemas = Readonly<Record<string, OptionSchema>>;

/** What a worker posts after loading a plugin: all the main thread ever knows of it. */
export interface PluginManifest {
  readonly name: string;
  readonly hooks: readonly HookName[];
  readonly effects: Effects;
  readonly options: OptionSchemas;
  readonly requiredOptions: readonly string[];
  readonly needs: readonly Power[];
  readonly affinity: 'any' | 'connection';
  /** Whose active scripts its deliver hook asks for. */
  readonly scripts?: readonly RuleLanguage[];
}
