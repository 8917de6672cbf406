/** Users' Sieve scripts, run for each local recipient before the mail is accepted. RFC 5228. */
import { resolve } from 'node:path';
import { definePlugin, type HookContext, type Message } from 'mailfilter/plugin';
import {
  formatProblem,
  type LazyMessage,
  type Outcome,
  type Program,
  programExtensions,
  runSieve,
  type SieveAction,
  sieveExtensions,
} from '../../rules/sieve/index.ts';
import { openSitePrograms, type SitePrograms } from '../../rules/site-programs.ts';
import { environmentOf } from './environment.ts';
import { eventEnvironment, whyNotAtEvent } from './imap-event.ts';
import type { SieveOptions } from './options.ts';
import { planOf } from './plan.ts';
import { Programs } from './programs.ts';
import { readSiteScripts, type SiteScript, type SiteScripts } from './site-scripts.ts';

interface Prepared {
  readonly site: SiteScripts;
  readonly programs: Programs;
  readonly sitePrograms: SitePrograms;
}

type Context = HookContext<SieveOptions, Prepared>;

const paths = (description: string) =>
  ({ type: 'array', items: { type: 'string', minLength: 1 }, default: [], description }) as const;
const days = (description: string, fallback: number) =>
  ({ type: 'number', minimum: 0, maximum: 3650, default: fallback, description }) as const;

export default definePlugin({
  name: 'sieve',
  kind: 'deliver',
  scripts: ['sieve'],
  options: {
    before: paths('Scripts of the site that run before the user’s: files, or folders of .sieve files.'),
    after: paths('Scripts of the site that run after the user’s, if the message is still to be kept.'),
    default: { type: 'string', minLength: 1, description: 'Script for users who have none.' },
    global: { type: 'string', minLength: 1, description: 'Folder of scripts for include :global.' },
    folderSeparator: {
      type: 'string',
      minLength: 1,
      maxLength: 1,
      default: '/',
      description: 'What parts the levels of folder names in scripts.',
    },
    subaddressSeparator: {
      type: 'string',
      minLength: 1,
      maxLength: 1,
      default: '+',
      description: 'What :user and :detail part an address at.',
    },
    redirectsMax: {
      type: 'integer',
      minimum: 0,
      maximum: 100,
      default: 4,
      description: 'Redirects of one message; 0 forbids them.',
    },
    vacationMinDays: days('Least time between two vacation answers to one sender.', 1),
    vacationMaxDays: days('Longest time; 0: no limit.', 0),
    vacationDefaultDays: days('Where the script says nothing.', 7),
    spamScoreMax: {
      type: 'number',
      minimum: 0.1,
      default: 10,
      description: 'Points of the plugins before that spamtest calls 100 percent.',
    },
    programs: {
      type: 'string',
      minLength: 1,
      description:
        'Folder of programs that scripts may run by name (vnd.dovecot.pipe, filter, execute); none without it.',
    },
    programTimeoutSeconds: {
      type: 'number',
      minimum: 0.1,
      maximum: 60,
      default: 10,
      description: 'What filter and execute wait for a program.',
    },
    settings: {
      type: 'object',
      additionalProperties: { type: 'string' },
      default: {},
      description: 'Items of environment named vnd.dovecot.config.NAME.',
    },
    reportFrom: {
      type: 'string',
      minLength: 3,
      description: 'Author of abuse reports; postmaster at the hostname without it.',
    },
    trace: {
      type: 'boolean',
      default: false,
      description: 'Put every test with its inputs into the trace of the message.',
    },
  },
  setup({ options, baseDirectory, log }): Prepared {
    const site = readSiteScripts(options, baseDirectory);
    const sitePrograms = openSitePrograms(
      options.programs === undefined ? undefined : resolve(baseDirectory, options.programs),
    );
    const available = sieveExtensions.filter(
      (name) => options.programs !== undefined || !programExtensions.includes(name),
    );
    const programs = new Programs(available);
    for (const script of [...site.before, ...site.after, ...(site.default ? [site.default] : [])]) {
      const [error] = programs.compile(script).errors;
      // Who starts the server reads this; mail of all users would otherwise miss the rules of the site.
      if (error) throw new Error(`the site's script ${formatProblem(error, script.name)}`);
    }
    log('loaded', { before: site.before.length, after: site.after.length, global: site.global.size });
    return { site, programs, sitePrograms };
  },
  hooks: {
    async deliver(input, context) {
      const programs = await programsFor(context);
      if (programs.length === 0) return undefined;
      const { options, prepared } = context;
      const outcome = await runSieve(
        programs,
        lazyMessage(input.message),
        environmentOf(input, context, prepared.site, prepared.sitePrograms),
        { trace: options.trace, limits: { redirectsMax: options.redirectsMax } },
      );
      await tell(outcome, context);
      const plan = { user: input.user, smtputf8: input.envelope.smtputf8, folder: 'INBOX' };
      const actions = await planOf(outcome, plan, context, prepared.sitePrograms);
      return actions && { actions: [...actions] };
    },
    async moved(input, context) {
      const { event, user, to } = input;
      const program = event && (await eventProgram(event.script, context));
      if (!program) return undefined;
      const { options, prepared } = context;
      const outcome = await runSieve(
        program,
        lazyMessage(input.message),
        eventEnvironment(input, event, context, prepared.site, prepared.sitePrograms),
        { trace: options.trace, limits: { redirectsMax: options.redirectsMax } },
      );
      await tell(outcome, context);
      // The message lies where it lies: a script that failed changes nothing.
      if (outcome.error) return undefined;
      const plan = { user, smtputf8: true, folder: to };
      const actions = await planOf(outcome, plan, context, prepared.sitePrograms);
      return actions && { actions: [...actions] };
    },
  },
});

/** In the order in which they run. A script that does not compile is left out: its mail is kept, and its owner told. */
async function programsFor(context: Context): Promise<Program[]> {
  const { scripts, prepared } = context;
  const { before, after, default: fallback } = prepared.site;
  const own: SiteScript | undefined = (await scripts.load('sieve')) ?? fallback;
  const found: Program[] = [];
  for (const script of [...before, ...(own ? [own] : []), ...after]) {
    const { program, errors } = prepared.programs.compile(script);
    if (program) found.push(program);
    else
      await complain(
        `${formatProblem(errors[0], script.name)}; the message was kept`,
        'script-broken',
        context,
      );
  }
  return found;
}

/** The user's script of that name, else the site's. */
async function eventProgram(name: string, context: Context): Promise<Program | undefined> {
  const { scripts, prepared } = context;
  const script = (await scripts.load('sieve', name)) ?? prepared.site.global.get(name);
  if (script === undefined) {
    await complain(`a mailbox names the script "${name}", which is not there`, 'script-missing', context);
    return undefined;
  }
  const { program, errors } = prepared.programs.compile(script);
  const problem = program ? whyNotAtEvent(program) : formatProblem(errors![0], script.name);
  if (problem === undefined) return program;
  await complain(`${script.name}: ${problem}`, 'script-broken', context);
  return undefined;
}

async function complain(text: string, event: string, { scripts, log }: Context): Promise<void> {
  log(event, { error: text });
  await scripts.note('sieve', text);
}

/** What the trace holds of a run: for each action the line that asked for it. */
async function tell(
  { actions, error, notes, log: written, trace }: Outcome,
  context: Context,
): Promise<void> {
  const { log } = context;
  if (error) {
    const { script, line, message } = error;
    await complain(`${script}: line ${line}: ${message}; the message was kept`, 'script-failed', context);
  }
  for (const note of notes.slice(0, notesMax)) await complain(note, 'script-note', context);
  for (const text of written.slice(0, notesMax)) log('debug', { text });
  for (const { script, line, name, inputs, outcome } of trace.slice(0, traceLinesMax)) {
    log('run', { at: `${script}:${line}`, name, inputs, outcome });
  }
  for (const action of actions.slice(0, notesMax)) log(action.type, factsOf(action));
}

/** Of one run; the trace of a message is read by people. */
const notesMax = 10;
const traceLinesMax = 60;

function factsOf(action: SieveAction): Record<string, string | number> {
  const at: Record<string, string | number> = action.at
    ? { script: action.at.script, line: action.at.line }
    : { implicit: 'keep' };
  if (action.type === 'fileinto') return { ...at, mailbox: action.mailbox, flags: action.flags.join(' ') };
  if (action.type === 'keep') return { ...at, flags: action.flags.join(' ') };
  if (action.type === 'redirect') return { ...at, address: action.address };
  if (action.type === 'pipe') return { ...at, program: action.program };
  if (action.type === 'vacation' || action.type === 'report') return { ...at, recipient: action.recipient };
  return at;
}

const crlf = Buffer.from('\r\n');

/** The header is at hand; the rest is rendered only for a script that looks at it. */
function lazyMessage(message: Message): LazyMessage {
  const fields = Array.from(message.headers, ({ raw }) => raw);
  return {
    header: Buffer.concat([...fields, crlf]),
    sizeBytes: message.length,
    whole: async () => Buffer.concat(await message.raw().toArray()),
  };
}
