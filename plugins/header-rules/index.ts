/** Rules on header, envelope and session that edit the header or decide about the message. RFC 5322, RFC 2047. */
import { definePlugin, type HookAnswer } from 'mailfilter/plugin';
import { compileRules, gatherFacts, type Outcome, type RuleSet } from '../../rules/json/rules.ts';
import { rulesSchema } from '../../rules/json/schema.ts';

/** By the options object: one plugin may stand in several pipelines, each with its own rules. */
const compiled = new WeakMap<object, RuleSet>();

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
  setup({ options }) {
    rulesOf(options);
  },
  hooks: {
    message(input, { options, log }) {
      const outcome = rulesOf(options).run(gatherFacts(input));
      if (outcome.matched.length > 0) log('matched', { rules: outcome.matched });
      return answerOf(outcome);
    },
  },
});

function rulesOf(options: { readonly rules: readonly unknown[] }): RuleSet {
  const known = compiled.get(options);
  if (known) return known;
  const rules = compileRules(options.rules, { withContent: false });
  compiled.set(options, rules);
  return rules;
}

function answerOf({ decision, edits, score, symbols, matched }: Outcome): HookAnswer | undefined {
  return matched.length === 0 ? undefined : { verdict: decision, edits, score, symbols, result: { matched } };
}
