/** Carries out the actions of a run in a test script: into the store, or to the mail server that only remembers. */
import type { SieveAction } from '../actions.ts';
import { rejectMessage } from '../reject-message.ts';
import type { Run } from '../run.ts';
import { finishPlan } from '../run-sieve.ts';
import { editedMessage, type MailStore } from './mail-store.ts';
import { type ConfigValues, senderBySetting } from './settings.ts';

/** Why the result could not be carried out; undefined where it was. */
export function deliverResult(run: Run, store: MailStore, config: ConfigValues): string | undefined {
  const octets = run.original.whole();
  for (const action of finishPlan(run)) {
    const problem = deliverOne(run, action, octets, store, config);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function deliverOne(
  run: Run,
  action: SieveAction,
  octets: Buffer,
  store: MailStore,
  config: ConfigValues,
): string | undefined {
  switch (action.type) {
    case 'keep':
      store.store('INBOX', editedMessage(octets, action.edits), action.flags);
      return undefined;
    case 'fileinto': {
      const problem = storeProblem(store, action.mailbox, action.create);
      if (problem !== undefined) return problem;
      store.store(action.mailbox, editedMessage(octets, action.edits), action.flags);
      return undefined;
    }
    case 'redirect':
      redirect(run, action, octets, store, config);
      return undefined;
    case 'reject': {
      const reply = rejectMessage(run, action.reason);
      if (reply) store.sent.push({ ...reply, octets: Buffer.from(reply.message) });
      return undefined;
    }
    case 'vacation':
      store.sent.push({
        sender: action.sender,
        recipient: action.recipient,
        octets: Buffer.from(action.message),
      });
      return copyProblem(store, action.fcc, action.message);
    case 'notify':
      for (const recipient of action.mail?.recipients ?? []) {
        store.sent.push({
          sender: action.mail!.sender,
          recipient,
          octets: Buffer.from(action.mail!.message),
        });
      }
      return action.mail && copyProblem(store, action.fcc, action.mail.message);
    case 'report':
      store.sent.push({ ...action, sender: '', octets: Buffer.from(action.message) });
      return undefined;
    case 'pipe':
      return `failed to pipe to '${action.program}': test scripts run no programs`;
    case 'discard':
      return undefined;
  }
}

function storeProblem(store: MailStore, mailbox: string, create: boolean): string | undefined {
  const invalid = store.nameProblem(mailbox);
  if (invalid !== undefined) return `failed to store into mailbox '${mailbox}': ${invalid}`;
  if (!store.exists(mailbox) && create) store.create(mailbox);
  if (store.exists(mailbox)) return undefined;
  return `failed to store into mailbox '${mailbox}': Mailbox doesn't exist: ${mailbox}`;
}

function copyProblem(
  store: MailStore,
  fcc: { mailbox: string; create: boolean; flags: readonly string[] } | undefined,
  message: Uint8Array,
): string | undefined {
  if (!fcc) return undefined;
  const problem = storeProblem(store, fcc.mailbox, fcc.create);
  if (problem === undefined) store.store(fcc.mailbox, Buffer.from(message), fcc.flags);
  return problem;
}

/** Marked, so that a message that comes back is seen to have been here. */
function redirect(
  run: Run,
  action: Extract<SieveAction, { type: 'redirect' }>,
  octets: Buffer,
  store: MailStore,
  config: ConfigValues,
): void {
  const { envelope } = run.environment;
  const own = run.settings.userAddress ?? envelope.to ?? '';
  const marks = run.original.fields.values('x-sieve-redirected-from').texts;
  const known = [own, envelope.to ?? ''].map((address) => address.toLowerCase());
  if (marks.some((mark) => known.includes(mark.toLowerCase()))) return;
  const mark = Buffer.from(`X-Sieve-Redirected-From: ${own}\r\n`);
  const message = Buffer.concat([mark, editedMessage(octets, action.edits)]);
  const from = envelope.from ?? '';
  const setting = config.get('sieve_redirect_envelope_from');
  // The null path stays what it is.
  const sender = from === '' ? '' : (senderBySetting(setting, envelope, run.settings.userAddress) ?? from);
  store.sent.push({ sender, recipient: action.address, octets: message });
}
