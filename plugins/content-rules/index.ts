/** Rules on header, decoded text and attachments that score, mark, hold or refuse. RFC 5322, RFC 2045 to 2047. */
import { definePlugin, type HookAnswer, quarantine, reject, tempfail } from 'mailfilter/plugin';
import { compileRules, gatherFacts, type Outcome } from '../../rules/json/rules.ts';
import { rulesSchema } from '../../rules/json/schema.ts';
import { contentOf } from './content.ts';

export default definePlugin({
  name: 'content-rules',
  kind: 'score',
  reads: ['header:*', 'body'],
  writes: ['header:*'],
  options: {
    rules: {
      ...rulesSchema(true),
      type: 'array',
      description: 'Run in order; each sees what those before it changed.',
    },
    textBytesMax: {
      type: 'integer',
      minimum: 1024,
      maximum: 8 * 1024 * 1024,
      default: 512 * 1024,
      description:
        'How far into the plain text, and into the text of the HTML, rules look, in octets of UTF-8.',
    },
    tooLarge: {
      type: 'string',
      enum: ['reject', 'tempfail', 'quarantine', 'continue'],
      default: 'reject',
      description:
        'What becomes of a message too large or too deeply nested to be parsed, where a rule asks about content.',
    },
  },
  required: ['rules'],
  setup: ({ options }) => compileRules(options.rules, { withContent: true }),
  hooks: {
    async message(input, { options, prepared: rules, log }) {
      const parsed = rules.needsContent ? await input.message.parsed() : undefined;
      if (parsed?.tooLarge && options.tooLarge !== 'continue') {
        log('too-large', { bytes: input.message.length });
        return { verdict: tooLargeVerdicts[options.tooLarge], result: { tooLarge: true } };
      }
      const content = parsed && (parsed.tooLarge ? noContent : contentOf(parsed, options.textBytesMax));
      if (content?.truncated) log('text-cut', { bytes: options.textBytesMax });
      const outcome = rules.run(gatherFacts(input, content));
      if (outcome.matched.length > 0) log('matched', { rules: outcome.matched });
      return answerOf(outcome, {
        tooLarge: parsed?.tooLarge === true,
        truncated: content?.truncated === true,
      });
    },
  },
});

const uncheckable = 'message is too large or too deeply nested to be checked';
const tooLargeVerdicts = {
  reject: reject(554, '5.6.0', uncheckable),
  tempfail: tempfail(451, '4.6.0', uncheckable),
  quarantine: quarantine(uncheckable),
};

const noContent = { plain: '', html: '', attachments: [], truncated: false };

function answerOf(
  { decision, edits, symbols, matched }: Outcome,
  limits: { readonly tooLarge: boolean; readonly truncated: boolean },
): HookAnswer | undefined {
  if (matched.length === 0 && !limits.tooLarge && !limits.truncated) return undefined;
  return {
    verdict: decision,
    edits,
    symbols,
    result: {
      matched,
      ...(limits.tooLarge && { tooLarge: true }),
      ...(limits.truncated && { truncated: true }),
    },
  };
}
