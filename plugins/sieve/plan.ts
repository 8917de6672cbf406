/** From what a script decided to what the core carries out: each Sieve action as actions of the delivery plan. */
import type { Action, HookContext } from 'mailfilter/plugin';
import type { FileCarbonCopy, Outcome, SieveAction } from '../../rules/sieve/index.ts';
import type { SitePrograms } from '../../rules/site-programs.ts';
import { asMissing, folderName } from './environment.ts';
import type { SieveOptions } from './options.ts';
import { stateKey } from './seen.ts';

type Context = HookContext<SieveOptions>;

/** What the plan is for. */
export interface PlanFor {
  readonly user: string;
  /** The client takes words that are not ASCII. */
  readonly smtputf8: boolean;
  /** Where a keep keeps the message. */
  readonly folder: string;
}

/** Undefined where nothing but the implicit keep is left: that is the core's, which knows where mail goes without rules. */
export async function planOf(
  outcome: Outcome,
  input: PlanFor,
  context: Context,
  programs: SitePrograms,
): Promise<readonly Action[] | undefined> {
  const { actions, seen } = outcome;
  const remembered = seen.map(
    ({ key, seconds }): Action => ({
      type: 'remember',
      key: stateKey('duplicate', key, input.user),
      seconds,
    }),
  );
  if (remembered.length === 0 && actions.every(isPlainKeep)) return undefined;
  const plan: Action[] = [];
  const isDelivered = actions.some(
    ({ type }) => type === 'keep' || type === 'fileinto' || type === 'redirect',
  );
  const planning = { input, context, programs, isDelivered };
  for (const action of actions) plan.push(...(await planned(action, planning)));
  return [...plan, ...remembered];
}

function isPlainKeep(action: SieveAction): boolean {
  return action.type === 'keep' && action.implicit && action.flags.length === 0 && action.edits.length === 0;
}

interface Planning {
  readonly input: PlanFor;
  readonly context: Context;
  readonly programs: SitePrograms;
  /** Some action but the one at hand takes the message. */
  readonly isDelivered: boolean;
}

async function planned(action: SieveAction, planning: Planning): Promise<Action[]> {
  const { input, context } = planning;
  switch (action.type) {
    case 'keep':
      return [
        {
          type: 'store',
          mailbox: input.folder,
          flags: keptFlags(action.flags),
          edits: action.edits,
          ...(action.implicit && { implicit: true }),
        },
      ];
    case 'fileinto': {
      const { flags, edits } = action;
      return [{ type: 'store', ...(await folderOf(action, context)), flags: keptFlags(flags), edits }];
    }
    case 'redirect':
      return [redirected(action, context.clock.now())];
    case 'reject':
      return [
        {
          ...{ type: 'refuse', code: 550, enhanced: '5.7.1', text: refusalText(action.reason, input) },
          ...(action.notification && { notification: action.notification }),
        },
      ];
    case 'vacation': {
      const { recipient, message, key, seconds, fcc } = action;
      const once = { key: stateKey('vacation', key, input.user), seconds };
      return [
        { type: 'reply', sender: '', recipients: [recipient], message, once },
        ...(await carbonCopy(fcc, message, context)),
      ];
    }
    case 'notify': {
      if (action.mail === undefined) return [];
      const { sender, recipients, message } = action.mail;
      if (recipients.length === 0) return [];
      return [
        { type: 'reply', sender, recipients, message },
        ...(await carbonCopy(action.fcc, message, context)),
      ];
    }
    case 'pipe':
      return piped(action, planning);
    case 'report':
      return [{ type: 'reply', sender: '', recipients: [action.recipient], message: action.message }];
    case 'discard':
      return [{ type: 'discard', reason: 'discarded by a Sieve script' }];
  }
}

/** Pigeonhole's spec-bosch-sieve-extprograms section 5: a program that fails does not cancel the implicit keep. */
function piped(
  { program, arguments: parameters, copy, try: isTry, edits }: Extract<SieveAction, { type: 'pipe' }>,
  { input, programs, isDelivered }: Planning,
): Action[] {
  const path = programs.pathOf(program);
  // It was there when the script ran.
  if (path === undefined) return isDelivered ? [] : [{ type: 'store', mailbox: input.folder }];
  const onFailure = copy || (isTry && isDelivered) ? 'ignore' : 'keep';
  return [{ type: 'run', argv: [path, ...parameters], edits, ofSite: { onFailure } }];
}

/** RFC 6009 sections 4 and 5. */
function redirected(action: Extract<SieveAction, { type: 'redirect' }>, now: number): Action {
  const { address, edits, notify, ret, byTime, byMode = 'notify', byTrace = false } = action;
  const until = byTime && ('absoluteMs' in byTime ? byTime.absoluteMs : now + byTime.relativeSeconds * 1000);
  return {
    ...{ type: 'redirect', address, edits, ...(notify && { notify }), ...(ret && { ret }) },
    ...(until !== undefined && { deliverBy: { until, mode: byMode, trace: byTrace } }),
  };
}

interface Wanted {
  readonly mailbox: string;
  readonly create: boolean;
  readonly mailboxId?: string;
  readonly specialUse?: string;
}

/** A folder that is not there and is not to be made means INBOX, and the trace says why. */
async function folderOf(
  { mailbox: written, create, mailboxId, specialUse }: Wanted,
  { mailboxes, options, log }: Context,
): Promise<{ mailbox: string; create: boolean }> {
  // RFC 9042 section 4: that very folder, whatever it is called by now.
  const known = mailboxId === undefined ? undefined : await mailboxes.withId(mailboxId);
  if (known !== undefined) return { mailbox: known, create: false };
  // RFC 8579 section 4: the first folder with the attribute, before the one that is named.
  const [special] = specialUse === undefined ? [] : await mailboxes.specialUse(specialUse);
  if (special !== undefined) return { mailbox: special, create };
  const mailbox = folderName(written, options.folderSeparator);
  if (!isPossible(mailbox)) {
    log('folder-impossible', { mailbox: mailbox.slice(0, 100), kept: 'INBOX' });
    return { mailbox: 'INBOX', create: false };
  }
  if (create || mailbox.toUpperCase() === 'INBOX') return { mailbox, create };
  if (await mailboxes.exists(mailbox).catch(asMissing)) return { mailbox, create };
  log('folder-missing', { mailbox, kept: 'INBOX' });
  return { mailbox: 'INBOX', create: false };
}

/** No mailbox keeps more, or longer ones: such mail is stored without them. */
function keptFlags(flags: readonly string[]): readonly string[] {
  return flags.filter((flag) => flag.length <= 100).slice(0, 100);
}

/** What is made of a message can hold anything; no folder has controls in its name. */
function isPossible(mailbox: string): boolean {
  return mailbox !== '' && mailbox.length <= 1000 && !/[\x00-\x1f\x7f]/.test(mailbox);
}

/** RFC 8580: the user's copy of what goes out. */
async function carbonCopy(
  fcc: FileCarbonCopy | undefined,
  message: Uint8Array,
  context: Context,
): Promise<Action[]> {
  if (fcc === undefined) return [];
  return [{ type: 'store', ...(await folderOf(fcc, context)), flags: keptFlags(fcc.flags), message }];
}

/** RFC 5429 section 2.2: what the transaction cannot carry is told in ASCII. */
function refusalText(reason: string, { smtputf8 }: PlanFor): string {
  const text = reason.trim().replace(/\r?\n/g, '\n');
  const sayable = smtputf8 ? /^[^\x00-\x09\x0b-\x1f\x7f]+$/ : /^[\x20-\x7e\n]+$/;
  return sayable.test(text) && text.length <= refusalCharactersMax
    ? text
    : "refused by the recipient's rules";
}

/** What a reply may have. */
const refusalCharactersMax = 2000;
