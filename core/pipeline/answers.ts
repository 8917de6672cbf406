/**
 * The core's side of plugins' questions. The answers of one request are kept while it runs: when it runs again in
 * another thread, the same question gets the first answer, and no counter counts twice.
 */
import { describeError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type {
  PluginDns,
  PluginMailboxes,
  PluginScripts,
  PluginState,
  RuleLanguage,
} from '../plugin/hooks.ts';
import type { Question, QuestionService, WireError } from './wire.ts';

/** What the core answers with. */
export interface PipelineServices {
  readonly dns: PluginDns;
  /** Keys are private to the plugin of that name. */
  state(plugin: string): PluginState;
  /** Of the local user a message is delivered to. */
  scripts(user: string): PluginScripts;
  /** The version that `load(language)` would answer with, '' for none; undefined where only `load` can tell. */
  scriptVersion?(user: string, language: RuleLanguage): string | undefined;
  mailboxes(user: string): PluginMailboxes;
}

export type GivenAnswer = { readonly value: unknown } | { readonly error: WireError };

/** The remembered answers of one request. */
export type RememberedAnswers = Map<string, Promise<GivenAnswer>>;

const methods: Readonly<Record<QuestionService, readonly string[]>> = {
  dns: ['a', 'aaaa', 'txt', 'mx', 'ptr', 'ns', 'cname', 'srv', 'exists'],
  state: ['get', 'set', 'delete', 'increment', 'setIfAbsent', 'list', 'getAll', 'incrementAll'],
  scripts: ['load', 'note'],
  mailboxes: ['exists', 'list', 'metadata', 'withId', 'specialUse'],
};

/** Never rejects: an error is an answer. */
export function answerQuestion(
  question: Question,
  remembered: RememberedAnswers,
  services: PipelineServices,
): Promise<GivenAnswer> {
  const { key, service, method, args } = question;
  // With the question itself: a plugin that asks otherwise the second time must not get the answer to another question.
  const asked = `${key}/${service}.${method}${JSON.stringify(args)}`;
  const before = remembered.get(asked);
  if (before !== undefined) return before;
  if (remembered.size >= pipelineLimits.questionsMax) {
    return Promise.resolve(refusal(`more than ${pipelineLimits.questionsMax} questions for one message`));
  }
  const given = ask(question, services).then((value) => ({ value }), wireError);
  remembered.set(asked, given);
  return given;
}

async function ask(
  { service, method, args, plugin, user }: Question,
  services: PipelineServices,
): Promise<unknown> {
  if (!methods[service]?.includes(method)) throw new TypeError(`there is no ${service}.${method}`);
  const target = serviceOf(service, plugin, user, services) as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  return await target[method]!(...args);
}

function serviceOf(
  service: QuestionService,
  plugin: string,
  user: string | undefined,
  services: PipelineServices,
): PluginDns | PluginState | PluginScripts | PluginMailboxes {
  if (service === 'dns') return services.dns;
  if (service === 'state') return services.state(plugin);
  if (user === undefined) throw new TypeError(`${service} belongs to a user: it is for the deliver hook`);
  return service === 'scripts' ? services.scripts(user) : services.mailboxes(user);
}

function refusal(message: string): GivenAnswer {
  return { error: { name: 'Error', message, code: 'refused', temporary: false } };
}

function wireError(error: unknown): GivenAnswer {
  const { name, code, temporary } = error as { name?: unknown; code?: unknown; temporary?: unknown };
  return {
    error: {
      name: typeof name === 'string' ? name : 'Error',
      message: describeError(error),
      code: typeof code === 'string' ? code : 'failed',
      // Unknown means temporary: a failure to ask is no answer for good.
      temporary: temporary !== false,
    },
  };
}
