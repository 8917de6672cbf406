/**
 * Runs a plugin's hooks with no server: `mailfilter/testing`. Options are checked as at load, input is frozen as in a
 * thread, and the answer goes through the same checks and a structured clone, so that what would fail across threads
 * fails in the unit test.
 *
 * @example
 * const dnsbl = testPlugin(plugin, { options: { zones: ['bl.test'] }, dns: { '1.2.0.192.bl.test': { A: ['127.0.0.2'] } } });
 * assert.equal((await dnsbl.connect()).verdict.action, 'reject');
 */
import { type Clock, systemClock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import { defaultLimits, type Limits } from '../base/limits/settings.ts';
import type { Edit } from '../mail/edit.ts';
import type { Envelope } from '../mail/envelope.ts';
import type { Message } from '../mail/message.ts';
import { openMessage } from '../mail/open-message.ts';
import { memoryDns, type ZoneData } from '../net/dns-zone.ts';
import { deepFreeze } from '../session/deep-freeze.ts';
import { beginStage, mergeAnswer } from '../session/merge.ts';
import { type HookName, hookNames } from '../session/powers.ts';
import { readAnswer } from '../session/read-answer.ts';
import type { HookAnswer } from '../session/results.ts';
import type { Verdict } from '../session/verdict.ts';
import { checkOptions, describeOptionError } from './check-options.ts';
import { type Plugin, readPlugin } from './define.ts';
import type { HookContext, PluginDns, PluginMailboxes, PluginScripts, RuleLanguage } from './hooks.ts';
import {
  type TestInput,
  testConnection,
  testEnvelope,
  testMessage,
  testRecipient,
  testSession,
} from './test-input.ts';
import { TestState } from './test-state.ts';

export {
  memoryDns as testDns,
  type ZoneData as TestZone,
  type ZoneFailure as TestDnsFailure,
  type ZoneRecords as TestRecords,
} from '../net/dns-zone.ts';
export {
  type TestInput,
  testConnection,
  testEnvelope,
  testMessage,
  testRecipient,
  testSession,
} from './test-input.ts';
export { TestState } from './test-state.ts';

export interface TestSetup {
  readonly options?: Readonly<Record<string, Json>>;
  /** A table of names, or a resolver of the test's own. Without it every name does not exist. */
  readonly dns?: ZoneData | PluginDns;
  /** What `context.state` holds at the start. */
  readonly state?: Readonly<Record<string, Json>>;
  readonly clock?: Clock;
  readonly limits?: Partial<Limits>;
  readonly hostname?: string;
  readonly domains?: readonly string[];
  /** For relative paths in options. Default: the working directory. */
  readonly baseDirectory?: string;
  /** The user's scripts by language, for the deliver hook. */
  readonly scripts?: Readonly<Partial<Record<'sieve' | 'procmail' | 'maildrop', string>>>;
  /** The user's folders, for the deliver hook. */
  readonly mailboxes?: readonly string[];
  /** Folders by attribute. RFC 6154. */
  /** Folder by MAILBOXID. */
  readonly mailboxIds?: Readonly<Record<string, string>>;
  readonly specialUses?: Readonly<Record<string, readonly string[]>>;
  /** Further scripts of the user's, by name. */
  readonly namedScripts?: Readonly<Record<string, string>>;
  /** After this long the hook has failed. Default 5. */
  readonly timeoutSeconds?: number;
}

export interface TestAnswer {
  /** `continue` when the hook gave none. */
  readonly verdict: Verdict;
  /** The answer as the pipeline takes it. */
  readonly answer: HookAnswer;
  readonly edits: readonly Edit[];
  /** The message with the edits applied, CRLF as \n; empty for hooks without a message. */
  readonly message: string;
  /** The envelope with the edits applied. */
  readonly envelope: Envelope;
  /** rcptTo: where the recipient leads after the edits; empty when it was taken off. */
  readonly targets: readonly string[];
  /** Lines of context.log, and notes to the user (`note`). */
  readonly log: readonly { readonly event: string; readonly facts?: Readonly<Record<string, Json>> }[];
}

/** One method for each hook. Each rejects where the pipeline would call the answer a failure. */
export type PluginTest = { readonly [Name in HookName]: (input?: TestInput) => Promise<TestAnswer> } & {
  /** What the plugin has in its state. */
  readonly state: TestState;
  /** Runs the plugin's dispose, after its setup. */
  dispose(): Promise<void>;
};

/**
 * @param definition what the plugin file exports as default
 * @throws Error when the plugin or the options are not sound
 */
export function testPlugin(definition: unknown, setup: TestSetup = {}): PluginTest {
  const plugin = readPlugin(definition);
  const { options, errors } = checkOptions(plugin.manifest, setup.options ?? {});
  if (errors.length > 0) {
    const lines = errors
      .map(describeOptionError)
      .map(({ pointer, message }) => `/options${pointer}: ${message}`);
    throw new Error(`plugin ${plugin.manifest.name}:\n${lines.join('\n')}`);
  }
  const state = new TestState(setup.state ?? {}, setup.clock ?? systemClock);
  const bench = new Bench(plugin, deepFreeze(options), setup, state);
  const hooks = hookNames.map((hook) => [hook, (input: TestInput = {}) => bench.run(hook, input)]);
  return {
    ...Object.fromEntries(hooks),
    state,
    dispose: () => bench.dispose(),
  } as PluginTest;
}

type LogLine = TestAnswer['log'][number];
type UnpreparedContext = Omit<HookContext, 'prepared'>;

class Bench {
  readonly #plugin: Plugin;
  readonly #options: unknown;
  readonly #setup: TestSetup;
  readonly #state: TestState;
  readonly #limits: Limits;
  /** What setup answers; it runs once, before the first hook. */
  #prepared: Promise<unknown> | undefined;

  constructor(plugin: Plugin, options: unknown, setup: TestSetup, state: TestState) {
    this.#plugin = plugin;
    this.#options = options;
    this.#setup = setup;
    this.#state = state;
    this.#limits = { ...defaultLimits, ...setup.limits };
  }

  async run(hook: HookName, test: TestInput): Promise<TestAnswer> {
    const { hooks, manifest } = this.#plugin;
    const run = hooks[hook] as ((input: unknown, context: HookContext) => unknown) | undefined;
    if (run === undefined) throw new Error(`plugin ${manifest.name} has no hook ${hook}`);
    const log: LogLine[] = [];
    this.#prepared ??= this.#setUp(log);
    const prepared = await this.#prepared;
    const source = testMessage(test.message);
    const envelope = testEnvelope(test);
    const recipient = testRecipient(test.recipient ?? envelope.recipients[0] ?? 'alice@example.test');
    const pending = hook === 'rcptTo' ? recipient : undefined;
    const message = this.#open(source, []);
    const input = deepFreeze(structuredClone(plainInput(hook, test, envelope, recipient)));
    const given = await this.#inTime(
      hook,
      (context) => run.call(hooks, withMessage(hook, input, message), { ...context, prepared }),
      log,
    );
    const answer = structuredClone(readAnswer(given, hook, envelope.recipients));
    const before = beginStage(
      noneGathered,
      pending === undefined ? envelope : envelopeBefore(envelope, pending.id),
      pending,
    );
    const after = mergeAnswer(before, manifest.name, answer);
    const edited = messageHooks.includes(hook) ? this.#open(source, after.gathered.edits) : undefined;
    return {
      verdict: answer.verdict ?? { action: 'continue' },
      answer,
      edits: answer.edits ?? [],
      message: edited === undefined ? '' : await textOf(edited),
      envelope: after.envelope ?? envelope,
      targets:
        after.pending === undefined || after.verdict.action === 'discard'
          ? []
          : [after.pending.recipient.address, ...after.pending.added],
      log,
    };
  }

  async dispose(): Promise<void> {
    this.#prepared ??= this.#setUp([]);
    const prepared = await this.#prepared;
    await this.#plugin.dispose?.({ options: this.#options, prepared });
  }

  #open(source: ReturnType<typeof testMessage>, edits: readonly Edit[]): Message {
    const message = openMessage(source, edits, { limits: this.#limits });
    Object.freeze(message.headers);
    return Object.freeze(message);
  }

  async #setUp(log: LogLine[]): Promise<unknown> {
    const {
      clock = systemClock,
      hostname = 'mx.example.test',
      domains = ['example.test'],
      baseDirectory = process.cwd(),
    } = this.#setup;
    return await this.#plugin.setup?.({
      options: this.#options,
      clock,
      hostname,
      domains,
      baseDirectory,
      log: (event, facts) => void log.push({ event, ...(facts && { facts }) }),
    });
  }

  async #inTime(
    hook: HookName,
    run: (context: UnpreparedContext) => unknown,
    log: LogLine[],
  ): Promise<unknown> {
    const seconds = this.#setup.timeoutSeconds ?? 5;
    const controller = new AbortController();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new Error(
        `plugin ${this.#plugin.manifest.name}: ${hook} has not answered within ${seconds} s`,
      );
      controller.abort(error);
      late.reject(error);
    }, seconds * 1000);
    try {
      return await Promise.race([run(this.#context(controller.signal, seconds, log)), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #context(signal: AbortSignal, seconds: number, log: LogLine[]): UnpreparedContext {
    const {
      clock = systemClock,
      hostname = 'mx.example.test',
      domains = ['example.test'],
      dns = {},
    } = this.#setup;
    return {
      options: this.#options,
      dns: typeof dns.a === 'function' ? (dns as PluginDns) : memoryDns(dns as ZoneData),
      state: this.#state,
      clock,
      deadline: clock.now() + seconds * 1000,
      signal,
      log: (event, facts) => void log.push(structuredClone({ event, ...(facts && { facts }) })),
      hostname,
      domains,
      scripts: this.#scripts(log),
      mailboxes: this.#mailboxes(),
    };
  }

  #scripts(log: LogLine[]): PluginScripts {
    const { scripts = {} } = this.#setup;
    return {
      load: async (language: RuleLanguage, name?: string) => {
        const source = name === undefined ? scripts[language] : this.#setup.namedScripts?.[name];
        return source === undefined ? undefined : { name: name ?? 'active', source };
      },
      note: async (language, text) => void log.push({ event: 'note', facts: { language, text } }),
    };
  }

  #mailboxes(): PluginMailboxes {
    const { mailboxes = ['INBOX'] } = this.#setup;
    return {
      exists: async (mailbox) => mailboxes.includes(mailbox),
      list: async () => [...mailboxes],
      metadata: async () => undefined,
      withId: async (id) => this.#setup.mailboxIds?.[id],
      specialUse: async (attribute) => [...(this.#setup.specialUses?.[attribute] ?? [])],
    };
  }
}

const messageHooks: readonly HookName[] = ['headers', 'message', 'deliver', 'send', 'moved'];

const noneGathered = {
  edits: [],
  recipientEdits: {},
  results: {},
  score: 0,
  symbols: [],
  auth: [],
  accepted: false,
};

/** At RCPT the recipient in question is not yet in the envelope. */
function envelopeBefore(envelope: Envelope, id: string): Envelope {
  return { ...envelope, recipients: envelope.recipients.filter((recipient) => recipient.id !== id) };
}

/** Everything of a hook's input but the message, which is no plain value. */
function plainInput(
  hook: HookName,
  test: TestInput,
  envelope: Envelope,
  recipient: Envelope['recipients'][number],
): object {
  const results = test.results ?? {};
  const base = { connection: testConnection(test.connection), session: testSession(test.session), results };
  const transaction = { ...base, id: test.id ?? 'test', envelope };
  const message = {
    ...transaction,
    score: test.score ?? 0,
    symbols: test.symbols ?? [],
    auth: test.auth ?? [],
  };
  const user = test.user ?? recipient.address;
  switch (hook) {
    case 'connect':
    case 'helo':
    case 'auth':
      return base;
    case 'close':
      return { ...base, reason: test.reason ?? 'quit' };
    case 'mailFrom':
    case 'data':
      return transaction;
    case 'rcptTo':
      return {
        ...transaction,
        envelope: envelopeBefore(envelope, recipient.id),
        recipient,
        route: test.route ?? 'mailbox',
      };
    case 'headers':
    case 'message':
      return message;
    case 'deliver':
      return { ...message, recipient, user, detail: test.detail ?? '' };
    case 'send':
      return { ...message, nextHop: test.nextHop ?? 'mx.example.org' };
    case 'moved':
      return {
        user,
        from: test.from ?? 'INBOX',
        to: test.to ?? 'Junk',
        flags: test.flags ?? [],
        results,
        ...(test.event && { event: test.event }),
      };
  }
}

function withMessage(hook: HookName, input: object, message: Message): object {
  return messageHooks.includes(hook) ? { ...input, message } : input;
}

async function textOf(message: Message): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message.raw()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8').replaceAll('\r\n', '\n');
}
