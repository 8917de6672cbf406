/** Rules on attached files: by name and by what they are, in archives too, without unpacking anything to disk. RFC 2183. */
import {
  definePlugin,
  type HookAnswer,
  type HookContext,
  type Json,
  type Message,
  quarantine,
  reject,
  tempfail,
  type Verdict,
} from 'mailfilter/plugin';
import { filesOf } from './files.ts';
import { type FileFacts, Inspection } from './inspect.ts';
import { actions, compileRules, type Rule, ruleSchema } from './rules.ts';

export default definePlugin({
  name: 'attachments',
  kind: 'score',
  reads: ['header:Content-Type', 'header:Content-Disposition', 'body'],
  options: {
    rules: {
      type: 'array',
      maxItems: 100,
      items: ruleSchema,
      description: 'A rule matches a file that all of its conditions mean. Without any: those in the README.',
    },
    depthMax: {
      type: 'integer',
      minimum: 0,
      maximum: 10,
      default: 3,
      description: 'Archives within archives are opened so deep; what lies deeper is unreadable.',
    },
    filesMax: {
      type: 'integer',
      minimum: 1,
      maximum: 100_000,
      default: 1000,
      description: 'Files in all archives of a message that are looked at; more are unreadable.',
    },
    unpackedBytesMax: {
      type: 'integer',
      minimum: 0,
      maximum: 256 * 1024 * 1024,
      default: 32 * 1024 * 1024,
      description:
        'Octets of nested archives that are unpacked in memory, for one message; more are unreadable.',
    },
    messageBytesMax: {
      type: 'integer',
      minimum: 1024,
      maximum: 256 * 1024 * 1024,
      default: 64 * 1024 * 1024,
      description: 'A larger message is not looked into.',
    },
    tooLarge: {
      type: 'string',
      enum: ['reject', 'tempfail', 'quarantine', 'continue'],
      default: 'reject',
      description: 'What becomes of a message that is not looked into.',
    },
  },
  setup: ({ options }) => compileRules(options.rules),
  hooks: {
    async message({ message }, context): Promise<HookAnswer | undefined> {
      const { options, prepared: rules, log } = context;
      if (message.length > options.messageBytesMax) {
        log('too-large', { bytes: message.length });
        const verdict = tooLargeVerdicts[options.tooLarge];
        return { ...(verdict && { verdict }), result: { scanned: false, reason: 'size' } };
      }
      const { files, cut } = filesOf(await octetsOf(message));
      const inspection = new Inspection({ ...options, inTime: () => checkTime(context) });
      for (const { names, type, octets } of files) await inspection.add(names, type, octets);
      const found = [...inspection.found, ...(cut ? [notToldApart] : [])];
      if (found.length === 0) return undefined;
      const hits = rules.flatMap((rule): Hit[] => {
        const file = found.find((each) => rule.matches(each));
        return file === undefined ? [] : [{ rule, file }];
      });
      for (const { rule, file } of hits) log('matched', { rule: rule.name, file: pathOf(file) });
      return answerOf(hits, found.length);
    },
  },
});

interface Hit {
  readonly rule: Rule;
  readonly file: FileFacts;
}

/** Nobody waits for what is found out later. */
function checkTime({ signal, clock, deadline }: Pick<HookContext, 'signal' | 'clock' | 'deadline'>): void {
  signal.throwIfAborted();
  if (clock.now() >= deadline) throw new Error('the time for looking into the files is over');
}

/** More parts or names than are told apart, or too deep: stands for those that were not. */
const notToldApart: FileFacts = { path: [], extension: '', type: '', traits: new Set(['unreadable']) };

const uncheckable = 'message is too large to be checked';
const tooLargeVerdicts: Readonly<Record<string, Verdict | undefined>> = {
  reject: reject(554, '5.7.1', uncheckable),
  tempfail: tempfail(451, '4.7.1', uncheckable),
  quarantine: quarantine(uncheckable),
};

function answerOf(hits: readonly Hit[], files: number): HookAnswer {
  const hardest = actions.map((action) => hits.find(({ rule }) => rule.action === action)).find(Boolean);
  const verdict = hardest && verdictOf(hardest);
  return {
    ...(verdict && { verdict }),
    result: {
      files,
      matched: hits.map(
        ({ rule, file }): Json => ({ rule: rule.name, file: pathOf(file), traits: [...file.traits] }),
      ),
    },
    symbols: hits
      .filter(({ rule }) => rule.action === 'score')
      .map(({ rule, file }) => ({ name: rule.symbol, score: rule.score, text: pathOf(file) })),
  };
}

function verdictOf({ rule, file }: Hit): Verdict | undefined {
  const what = `${rule.text}: ${pathOf(file)}`;
  if (rule.action === 'reject') return reject(554, '5.7.1', what);
  return rule.action === 'quarantine' ? quarantine(what) : undefined;
}

/** On one line of US-ASCII, short: the sender chose it. */
function pathOf({ path }: FileFacts): string {
  const shown = path.map((name) => (name === '' ? '(no name)' : name)).join(' > ');
  return (shown === '' ? 'parts that were not told apart' : shown)
    .replace(/[^\x20-\x7e]/gu, '?')
    .slice(0, 150);
}

async function octetsOf(message: Message): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message.raw()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
