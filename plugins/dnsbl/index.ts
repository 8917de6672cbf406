/** Turn away, score or mark clients that DNS blocklists name. RFC 5782. */
import { definePlugin, type HookAnswer, type PluginDns, reject, reverseIp } from 'mailfilter/plugin';
import { isPrivateAddress } from './private-address.ts';
import { shortReason } from './reason.ts';
import { judgeAnswers, readZones, type Zone } from './zone.ts';

/** A zone that names the client, and what it answered. */
interface Hit {
  readonly zone: Zone;
  readonly answers: readonly string[];
}

const zoneName = {
  type: 'string',
  pattern: '^(?=.{1,200}$)[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*\\.?$',
} as const;
const action = { type: 'string', enum: ['reject', 'score', 'mark'] } as const;

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
              zone: zoneName,
              // Not `type: array` itself: left out, it would be filled in as an empty list.
              answers: {
                anyOf: [{ type: 'array', minItems: 1, items: { type: 'string' } }],
                description:
                  'Answers that count, such as 127.0.0.2 or 127.0.0.8/29. Default: all of 127.0.0.0/8.',
              },
              action,
              score: { type: 'number', description: 'Points of a hit where the action is score.' },
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
      ...action,
      default: 'reject',
      description: 'What a hit does in zones that say nothing of their own.',
    },
    score: {
      type: 'number',
      default: 3,
      description: 'Points of a hit in zones that say nothing of their own.',
    },
    skipPrivate: {
      type: 'boolean',
      default: true,
      description: 'Do not ask about private, loopback and link-local addresses.',
    },
    testPoints: {
      type: 'boolean',
      default: true,
      description: 'Before a hit counts, ask whether the zone lists 127.0.0.1, which no working list does.',
    },
    showReason: {
      type: 'boolean',
      default: true,
      description: "Tell a refused client the list's TXT record when it is short and plain.",
    },
  },
  required: ['zones'],
  setup: ({ options }) => readZones(options.zones, options),
  hooks: {
    async connect({ connection }, { options, prepared: zones, dns, log }) {
      const ip = connection.remoteIp;
      if (ip === '' || connection.trusted || (options.skipPrivate && isPrivateAddress(ip))) return undefined;
      const replies = await Promise.allSettled(zones.map((zone) => ask(zone, ip, options.testPoints, dns)));
      const hits = replies.flatMap((reply) =>
        reply.status === 'fulfilled' && reply.value ? [reply.value] : [],
      );
      for (const { zone, answers } of hits) log('listed', { zone: zone.name, answers });
      const refusing = hits.find(({ zone }) => zone.action === 'reject');
      // Any other answer would be a guess while a zone could not be asked: the failure policy decides.
      const failed = replies.find((reply) => reply.status === 'rejected');
      if (failed && !refusing) throw failed.reason;
      if (hits.length === 0) return undefined;
      const answer = answerOf(hits);
      if (!refusing) return answer;
      const reason = options.showReason ? await reasonOf(refusing.zone, ip, dns, log) : undefined;
      const text = `client [${ip}] is listed by ${refusing.zone.name}${reason ? `: ${reason}` : ''}`;
      return { ...answer, verdict: reject(554, '5.7.1', text) };
    },
  },
});

type Log = (event: string, facts?: Record<string, string>) => void;

/** @throws when DNS fails, the zone answers with an error code of its own, or it lists the whole world */
async function ask(zone: Zone, ip: string, testPoints: boolean, dns: PluginDns): Promise<Hit | undefined> {
  const reversed = reverseIp(ip);
  const isIPv6 = reversed.length > '255.255.255.255'.length;
  const answers = judgeAnswers(zone, await dns.a(`${reversed}.${zone.name}`));
  if (answers.length === 0) return undefined;
  // RFC 5782 section 5: 127.0.0.1, and ::FFFF:7F00:1 in lists of IPv6 addresses, must not be listed.
  const testPoint = isIPv6 ? unlistedIpv6 : unlistedIpv4;
  if (testPoints && judgeAnswers(zone, await dns.a(`${testPoint}.${zone.name}`)).length > 0) {
    throw new Error(
      `${zone.name} lists its own test point, and so perhaps the whole world: it is not to be used`,
    );
  }
  return { zone, answers };
}

const unlistedIpv4 = reverseIp('127.0.0.1');
/** Written out, since the mapped form stands for the IPv4 address elsewhere. */
const unlistedIpv6 = `1.0.0.0.0.0.f.7.f.f.f.f.${'0.'.repeat(19)}0`;

function answerOf(hits: readonly Hit[]): HookAnswer {
  const scored = hits.filter(({ zone }) => zone.action === 'score');
  return {
    result: {
      listed: hits.map(({ zone, answers }) => ({ zone: zone.name, answers, action: zone.action })),
    },
    symbols: scored.map(({ zone }) => ({ name: zone.symbol, score: zone.score })),
  };
}

/** RFC 5782 section 2.1: a TXT record beside the A record says why. It decides nothing, so its failure is but logged. */
async function reasonOf(zone: Zone, ip: string, dns: PluginDns, log: Log): Promise<string | undefined> {
  try {
    return shortReason(await dns.txt(`${reverseIp(ip)}.${zone.name}`));
  } catch (error) {
    log('no-reason', { zone: zone.name, error: String(error) });
    return undefined;
  }
}
