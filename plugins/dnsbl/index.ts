/** Turn away, score or mark clients that DNS lists name, by address or by domain; heed those that vouch. RFC 5782, RFC 8904. */
import { isClientKnown } from 'mailfilter/auth';
import {
  definePlugin,
  type HookContext,
  type HookInput,
  type HookResult,
  type PluginDns,
  reject,
  reverseOf,
  type TransactionInput,
} from 'mailfilter/plugin';
import { askLists, type Hit } from '../../rules/dns-lists/ask.ts';
import { lookAfterLists } from '../../rules/dns-lists/look-after.ts';
import { isPrivateAddress } from '../../rules/dns-lists/private-address.ts';
import { listProperties, listTimeoutSeconds, zoneName } from '../../rules/dns-lists/schema.ts';
import { answerOf, dnswlResults, heardBefore, refusalOf, refusalText, vouchers } from './answer.ts';
import { addressQuestions, type ClientQuestion, domainQuestions } from './question.ts';
import { shortReason } from './reason.ts';
import { type Ask, asks, readZones, type Zone } from './zone.ts';

const actions = ['reject', 'score', 'mark', 'allow'] as const;

interface Options {
  readonly skipPrivate: boolean;
  readonly testPoints: boolean;
  readonly showReason: boolean;
  readonly listTimeoutSeconds: number;
}
type Context = HookContext<Options, readonly Zone[]>;

export default definePlugin({
  name: 'dnsbl',
  kind: 'score',
  options: {
    zones: {
      type: 'array',
      items: {
        anyOf: [
          zoneName,
          {
            type: 'object',
            properties: {
              ...listProperties(actions),
              asks: {
                anyOf: [{ type: 'array', minItems: 1, items: { type: 'string', enum: asks } }],
                description:
                  "What the list knows: the client's address (default), or domains: the HELO name, the sender's domain, the confirmed names of the client's address.",
              },
              trust: {
                type: 'integer',
                minimum: 0,
                maximum: 3,
                description:
                  'An allow list whose answers are levels of trust (RFC 8904): from this one on a client is not refused.',
              },
            },
            required: ['zone'],
            additionalProperties: false,
          },
        ],
      },
      description:
        'Lists to ask, all at once; where several name the client, the first that refuses is told.',
    },
    action: {
      type: 'string',
      enum: actions,
      default: 'reject',
      description: 'What a hit does in zones that say nothing of their own.',
    },
    score: {
      type: 'number',
      default: 3,
      description:
        'Points of a hit in zones that say nothing of their own; taken off where the action is allow.',
    },
    skipPrivate: {
      type: 'boolean',
      default: true,
      description: 'Do not ask about private, loopback and link-local addresses.',
    },
    testPoints: {
      type: 'boolean',
      default: true,
      description:
        'Before a hit counts, ask whether the zone lists 127.0.0.1, which no working list does; once an hour, whether it lists 127.0.0.2, as every working list does.',
    },
    showReason: {
      type: 'boolean',
      default: true,
      description: "Tell a refused client the list's TXT record when it is short and plain.",
    },
    listTimeoutSeconds,
  },
  required: ['zones'],
  setup: ({ options }) => readZones(options.zones, options),
  hooks: {
    async connect(input, context) {
      const { remoteIp: ip, trusted } = input.connection;
      const { options, prepared: zones } = context;
      if (ip === '' || trusted || (options.skipPrivate && isPrivateAddress(ip))) return undefined;
      return await judge(addressQuestions(zones, ip), input, context);
    },
    // Not at HELO: a client may yet authenticate, and says HELO again after STARTTLS.
    async mailFrom(input, context) {
      const { connection, session } = input;
      const { options, prepared: zones, dns } = context;
      if (connection.trusted || session.user !== undefined || connection.door === 'submission')
        return undefined;
      const isAsked = (ask: Ask) => zones.some((zone) => zone.asks.has(ask));
      const { remoteIp: ip } = connection;
      const reachable = isClientKnown(connection) && !(options.skipPrivate && isPrivateAddress(ip));
      const names = {
        helo: isAsked('helo') && reachable ? [session.helo] : [],
        sender: isAsked('sender') ? [domainOf(input)] : [],
        reverse: isAsked('reverse') && reachable ? await namesOf(ip, dns, context.log) : [],
      };
      return await judge(domainQuestions(zones, names), input, context);
    },
  },
});

async function judge(
  questions: readonly ClientQuestion[],
  input: HookInput,
  context: Context,
): Promise<HookResult> {
  if (questions.length === 0) return undefined;
  const { options, dns, log } = context;
  const asking = { dns, testPoints: options.testPoints, timeoutMs: options.listTimeoutSeconds * 1000 };
  const { hits, troubles } = await askLists(questions, asking);
  if (options.testPoints) await lookAfterLists(questions, hits, asking, context);
  for (const { question, answers } of hits) log('listed', { zone: question.list.name, answers });
  for (const { question, error } of troubles) {
    log('list-failed', { zone: question.list.name, error: String(error) });
  }
  const before = heardBefore(input.results);
  const allowed = before.allowed.length > 0 || vouchers(hits).length > 0;
  const refusing = allowed ? undefined : refusalOf(hits);
  const failed = troubles.find(({ question: { list } }) => {
    // A refusal stands whatever another list would have said, unless that one might have vouched for the client.
    return list.onFailure === 'policy' && (refusing === undefined || list.vouches);
  });
  // Any answer would be a guess while a list could not be asked: the failure policy decides.
  if (failed && !(allowed && refusalOf(hits) === undefined && failed.question.list.vouches))
    throw failed.error;
  const auth = dnswlResults(questions, hits, troubles, await textsOf(hits, context));
  const answer = answerOf(hits, troubles, auth, before);
  if (refusing === undefined) return answer;
  const reason = options.showReason ? await reasonOf(refusing, context) : undefined;
  return { ...answer, verdict: reject(554, '5.7.1', refusalText(refusing, reason)) };
}

/** RFC 8904 section 3: the TXT record of an allow list says whom it vouches for. */
async function textsOf(hits: readonly Hit<ClientQuestion>[], context: Context): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const vouching = hits.filter(({ question }) => question.list.vouches && question.ask === 'address');
  await Promise.all(
    vouching.map(async (hit) => {
      const text = await reasonOf(hit, context);
      if (text !== undefined) texts.set(hit.question.list.name, text);
    }),
  );
  return texts;
}

/** RFC 5782 section 2.1: a TXT record beside the A record says why. It decides nothing, so its failure is but logged. */
async function reasonOf(
  { question: { key, list } }: Hit<ClientQuestion>,
  { dns, log }: Context,
): Promise<string | undefined> {
  try {
    return shortReason(await dns.txt(`${key}.${list.zone}`));
  } catch (error) {
    log('no-reason', { zone: list.name, error: String(error) });
    return undefined;
  }
}

function domainOf({ envelope: { sender } }: TransactionInput): string {
  return sender.slice(sender.lastIndexOf('@') + 1);
}

/** That a name cannot be told is for the plugin that checks names: here it only means that none can be asked about. */
async function namesOf(ip: string, dns: PluginDns, log: Context['log']): Promise<readonly string[]> {
  try {
    return (await reverseOf(ip, dns)).confirmed;
  } catch (error) {
    log('no-name', { ip, error: String(error) });
    return [];
  }
}
