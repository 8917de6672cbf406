/** Users' rcfiles of procmail, run for each local recipient before the mail is accepted. procmailrc(5). */
import { resolve } from 'node:path';
import { definePlugin, type HookContext } from 'mailfilter/plugin';
import { type RunInput, type RunResult, runProcmail } from '../../rules/procmail/run.ts';
import { openSitePrograms } from '../../rules/site-programs.ts';
import { mailOf } from './mail.ts';
import type { Prepared, ProcmailOptions } from './options.ts';
import { Plan } from './plan.ts';
import { rcfileName, rootOf, variablesOf } from './variables.ts';

type Context = HookContext<ProcmailOptions, Prepared>;

export default definePlugin({
  name: 'procmail',
  kind: 'deliver',
  scripts: ['procmail'],
  options: {
    programs: {
      type: 'string',
      minLength: 1,
      description: 'Folder of programs that rcfiles may run by name; none without it.',
    },
    programTimeoutSeconds: {
      type: 'number',
      minimum: 0.1,
      maximum: 60,
      default: 10,
      description: 'What conditions, filters and backquotes wait for a program.',
    },
    redirectsMax: {
      type: 'integer',
      minimum: 0,
      maximum: 100,
      default: 4,
      description: 'Addresses that one message is forwarded to; 0 forbids it.',
    },
    duplicateDays: {
      type: 'number',
      minimum: 0.01,
      maximum: 365,
      default: 7,
      description: 'How long the Message-IDs of `formail -D` are remembered.',
    },
    trace: {
      type: 'boolean',
      default: false,
      description: 'Put every recipe with its conditions and score into the trace of the message.',
    },
  },
  setup({ options, baseDirectory }): Prepared {
    const folder = options.programs === undefined ? undefined : resolve(baseDirectory, options.programs);
    return { programs: openSitePrograms(folder) };
  },
  hooks: {
    async deliver(input, context) {
      const script = await context.scripts.load('procmail');
      if (script === undefined) return undefined;
      const { source } = script;
      const variables = variablesOf(input, context.hostname);
      const octets = await mailOf(input);
      const plan = new Plan({ input, context, source, root: rootOf(source, variables), octets });
      const result = await carriedOut(plan, {
        octets,
        rcfiles: [rcfileName],
        variables,
        positional: input.detail === '' ? [] : [input.detail],
        host: context.hostname,
        processId: 1,
        softly: true,
      });
      tell(result, context);
      // Where no folder took it the core keeps it.
      return result.delivered ? { actions: [...plan.actions(result.exitCode)] } : undefined;
    },
  },
});

async function carriedOut(plan: Plan, input: RunInput): Promise<RunResult> {
  const running = runProcmail(input);
  let step = running.next();
  while (!step.done) step = running.next(await plan.answer(step.value));
  return step.value;
}

/** Of one run; the trace of a message is read by people. */
const traceLinesMax = 60;

function tell({ recipes }: RunResult, { options, log }: Context): void {
  if (!options.trace) return;
  for (const { rcfile, line, matched, score, conditions } of recipes.slice(0, traceLinesMax)) {
    const judged = conditions.map(({ text, matched: holds }) => `${holds ? 'yes' : 'no'} ${text}`);
    log('recipe', { at: `${rcfile}:${line}`, matched, score, conditions: judged });
  }
}
