/** Score, mark or refuse messages that lead to places which DNS lists name. RFC 5782. */
import {
  definePlugin,
  type HookAnswer,
  ipMatcher,
  type Json,
  type MessageInput,
  type ParsedMessage,
  reject,
  type ScoredSymbol,
} from 'mailfilter/plugin';
import { askLists, type Hit } from '../../rules/dns-lists/ask.ts';
import { lookAfterLists } from '../../rules/dns-lists/look-after.ts';
import { listProperties, listTimeoutSeconds, zoneName } from '../../rules/dns-lists/schema.ts';
import { LinkHosts } from './links.ts';
import { forms, type LinkQuestion, linkQuestions, readZones } from './zone.ts';

const actions = ['reject', 'score', 'mark'] as const;

export default definePlugin({
  name: 'uribl',
  kind: 'score',
  reads: ['header:Subject', 'body'],
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
              form: {
                type: 'string',
                enum: forms,
                description:
                  'How the list spells names: registered (default, what stands below a public suffix), host (as in the link), both.',
              },
              addresses: {
                type: 'boolean',
                description: 'It lists IP addresses too, reversed. Default: true.',
              },
            },
            required: ['zone'],
            additionalProperties: false,
          },
        ],
      },
      description: 'Lists to ask, all at once.',
    },
    action: {
      type: 'string',
      enum: actions,
      default: 'score',
      description: 'What a hit does in zones that say nothing of their own.',
    },
    score: {
      type: 'number',
      default: 3,
      description:
        'Points of a hit in zones that say nothing of their own; several names on one list count once.',
    },
    namesMax: {
      type: 'integer',
      minimum: 1,
      maximum: 500,
      default: 30,
      description:
        'So many names of a message are asked about at each list: links before mail addresses and bare names.',
    },
    bareNames: {
      type: 'boolean',
      default: true,
      description: 'Ask about names that stand in the text without being a link.',
    },
    exclude: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: ['w3.org'],
      description:
        'Domains, with all below them, and addresses or networks that are not asked about; those of this site never are.',
    },
    textBytesMax: {
      type: 'integer',
      minimum: 1024,
      maximum: 8 * 1024 * 1024,
      default: 512 * 1024,
      description: 'How far into each text links are looked for, in characters.',
    },
    testPoints: {
      type: 'boolean',
      default: true,
      description:
        'Before a hit counts, ask whether the zone lists "invalid", which no working list does; once an hour, whether it lists "test", as every working list does.',
    },
    listTimeoutSeconds,
  },
  required: ['zones'],
  setup: ({ options, domains }) => ({
    zones: readZones(options.zones, options),
    isExcluded: excluder([...options.exclude, ...domains]),
  }),
  hooks: {
    async message(input, context): Promise<HookAnswer | undefined> {
      const { options, prepared, dns, log } = context;
      const parsed = await input.message.parsed();
      if (parsed.tooLarge) return { result: { scanned: false, reason: parsed.reason } };
      const links = linksIn(input, parsed, options);
      const hosts = links.hosts.filter((host) => !prepared.isExcluded(host));
      const { questions, cut } = linkQuestions(prepared.zones, hosts, options.namesMax);
      if (questions.length === 0) return undefined;
      const asking = { dns, testPoints: options.testPoints, timeoutMs: options.listTimeoutSeconds * 1000 };
      const { hits, troubles } = await askLists(questions, asking);
      if (options.testPoints) await lookAfterLists(questions, hits, asking, context);
      for (const { question, answers } of hits) {
        log('listed', { zone: question.list.name, of: question.of, answers });
      }
      const refusing = hits.find(({ meanings }) => meanings.some(({ action }) => action === 'reject'));
      const failed = [...new Map(troubles.map(({ question, error }) => [question.list, error]))];
      for (const [list, error] of failed) log('list-failed', { zone: list.name, error: String(error) });
      const grave = failed.find(([list]) => list.onFailure === 'policy');
      if (grave && refusing === undefined) throw grave[1];
      return {
        ...(refusing && { verdict: reject(554, '5.7.1', refusalText(refusing)) }),
        result: {
          names: new Set(questions.map(({ of }) => of)).size,
          listed: hits.map(listingOf),
          ...((cut || links.cut) && { cut: true }),
          ...(failed.length > 0 && { failed: failed.map(([list]) => list.name) }),
        },
        symbols: [...symbolsOf(hits), ...(cut || links.cut ? [{ name: 'URIBL_CUT', score: 0 }] : [])],
      };
    },
  },
});

interface TextOptions {
  readonly textBytesMax: number;
  readonly bareNames: boolean;
}

function linksIn({ message }: MessageInput, parsed: ParsedMessage, options: TextOptions): LinkHosts {
  const max = options.textBytesMax;
  const links = new LinkHosts(options.bareNames);
  links.addText((message.headers.decoded('Subject') ?? '').slice(0, max));
  if (typeof parsed.html === 'string') links.addHtml(parsed.html.slice(0, max), max);
  links.addText((parsed.text ?? '').slice(0, max));
  // A page of its own is opened by the same click as an attachment.
  for (const { contentType, filename = '', content } of parsed.attachments.slice(0, attachmentsMax)) {
    const isHtml =
      /^(?:text\/html|application\/xhtml)/i.test(contentType) || /\.(?:x?html?|svg)$/i.test(filename);
    if (isHtml) links.addHtml(content.toString('utf8', 0, max), max);
    else if (/^text\//i.test(contentType)) links.addText(content.toString('utf8', 0, max));
  }
  return links;
}

/** Attached texts that are read, each up to the plugin's own bound. */
const attachmentsMax = 20;

/** @param entries domains, addresses and networks */
function excluder(entries: readonly string[]): (host: string) => boolean {
  const isNetwork = (entry: string) => /^[\d.]+(?:\/\d+)?$|:/.test(entry);
  const networks = ipMatcher(entries.filter(isNetwork));
  const domains = new Set(entries.filter((entry) => !isNetwork(entry)).map((entry) => entry.toLowerCase()));
  return (host) => {
    if (networks.matches(host)) return true;
    for (let rest = host; rest !== ''; rest = rest.slice(rest.indexOf('.') + 1)) {
      if (domains.has(rest)) return true;
      if (!rest.includes('.')) return false;
    }
    return false;
  };
}

type LinkHit = Hit<LinkQuestion>;

function refusalText({ question: { of, list } }: LinkHit): string {
  return `message leads to ${of}, which is listed by ${list.name}`;
}

function listingOf({ question, answers, meanings }: LinkHit): Json {
  const codes = meanings.map(({ name }) => name).filter((name) => name !== '');
  return {
    zone: question.list.name,
    of: question.of,
    answers: [...answers],
    ...(codes.length > 0 && { codes }),
  };
}

/** Ten names of the same spammer say what one says. */
function symbolsOf(hits: readonly LinkHit[]): ScoredSymbol[] {
  const found = new Map<string, ScoredSymbol>();
  for (const { meanings, question } of hits) {
    for (const { symbol, score, action } of meanings) {
      if (action === 'score' && !found.has(symbol))
        found.set(symbol, { name: symbol, score, text: question.of });
    }
  }
  return [...found.values()];
}
