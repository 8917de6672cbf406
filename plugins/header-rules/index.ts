/** Rules on header, envelope and session that edit the header or decide about the message. RFC 5322, RFC 2047. */
import { definePlugin, type HookAnswer } from 'mailfilter/plugin';
import { compileRules, gatherFacts, type Outcome } from '../../rules/json/rules.ts';
import { rulesSchema } from '../../rules/json/schema.ts';

export default definePlugin({
  name: 'header-rules',
  kind: 'mutate',
  reads: ['header:*'],
  writes: ['header:*'],
  options: {
    rules: {
      ...rulesSchema(false),
      type: 'array',
      description: 'Run in order; each sees what those before it changed.',
    },
  },
  required: ['rules'],
  setup: ({ options }) => compileRules(options.rules, { withContent: false }),
  hooks: {
    message(input, { prepared: rules, log }) {
      const outcome = rules.run(gatherFacts(input));
      if (outcome.matched.length > 0) log('matched', { rules: outcome.matched });
      return answerOf(outcome);
    },
  },
});

function answerOf({ decision, edits, symbols, matched }: Outcome): HookAnswer | undefined {
  return matched.length === 0 ? undefined : { verdict: decision, edits, symbols, result: { matched } };
}
