/** Ask rspamd over HTTP, and do what it says: its action, its edits of the header, its score. */
import { Daemons, definePlugin, type HookAnswer, type HookContext, proceed } from 'mailfilter/plugin';
import { editsOf, verdictOf } from './decision.ts';
import { parseRspamdReply, type RspamdReply } from './reply.ts';
import { askRspamd, formatServer, parseServer, type RspamdServer } from './request.ts';

/** A few hundred symbols with their options. */
const answerBytesMax = 4 * 1024 * 1024;

export default definePlugin({
  name: 'rspamd',
  kind: 'score',
  reads: ['header:*', 'body'],
  writes: ['header:*', 'sender', 'recipients'],
  options: {
    url: {
      type: 'string',
      minLength: 1,
      description: 'Where it listens: http://host:11333, https://host, host:port or unix:/path.',
    },
    servers: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      description: 'Several, in order of preference, each as in url.',
    },
    actions: {
      type: 'string',
      enum: ['obey', 'score'],
      default: 'obey',
      description: 'Do what it says; or only count its points, and let the policy plugin decide.',
    },
    factor: {
      type: 'number',
      minimum: 0,
      description:
        'What its points are multiplied with to become SpamAssassin’s. Default: so that its "add header" is at 5.',
    },
    password: { type: 'string', default: '', description: 'Where the controller is asked.' },
    settings: { type: 'string', default: '', description: 'Which of its settings are used: Settings-ID.' },
    maxBytes: {
      type: 'integer',
      minimum: 1000,
      maximum: 1024 * 1024 * 1024,
      default: 50 * 1024 * 1024,
      description: 'A longer message is not scanned, and says so in its result.',
    },
  },
  setup({ options }) {
    const written = [...(options.url === undefined ? [] : [options.url]), ...options.servers];
    const servers = (written.length > 0 ? written : ['http://127.0.0.1:11333']).map(parseServer);
    return new Daemons<RspamdServer>('rspamd', servers, formatServer);
  },
  hooks: {
    async message(input, context) {
      const { options, prepared: daemons, hostname, log } = context;
      if (input.message.length > options.maxBytes) {
        log('too-large', { octets: input.message.length });
        return { result: { scanned: false, reason: 'too large' } };
      }
      const { password, settings } = options;
      const reply = await daemons.ask(context, async (server, signal) =>
        parseRspamdReply(
          await askRspamd(server, input, { password, settings, hostname }, { signal, answerBytesMax }),
        ),
      );
      return answerOf(reply, options, input.message.headers.decoded('Subject') ?? '', log);
    },
  },
});

interface AnswerOptions {
  readonly actions: 'obey' | 'score';
  readonly factor?: number;
}

function answerOf(
  reply: RspamdReply,
  { actions, factor }: AnswerOptions,
  subject: string,
  log: HookContext['log'],
): HookAnswer {
  const { action, score, symbols } = reply;
  const scale = factor ?? scaleOf(reply);
  log('action', { action, score });
  if (reply.skipped) return { result: { scanned: false, reason: 'rspamd skips such mail' } };
  const verdict = actions === 'obey' ? verdictOf(reply) : undefined;
  return {
    verdict: verdict ?? proceed(),
    ...(actions === 'obey' && { edits: editsOf(reply, subject) }),
    score: score * scale,
    symbols: symbols.map(({ name, score: points, options }) => ({
      name,
      score: points * scale,
      ...(options.length > 0 && { text: options.join(', ').slice(0, 200) }),
    })),
    result: { scanned: true, action, score, spam: spamActions.has(action) },
  };
}

const spamActions: ReadonlySet<string> = new Set([
  'add header',
  'rewrite subject',
  'reject',
  'quarantine',
  'discard',
]);

/** SpamAssassin calls it spam at 5; rspamd adds its header at 6 of 15 as it comes. */
function scaleOf({ thresholds, requiredScore }: RspamdReply): number {
  const marks = thresholds.get('add header') ?? requiredScore * 0.4;
  return marks > 0 ? 5 / marks : 1;
}
