/** A decision of the pipeline in the words of the milter protocol: all of it, or a reason why it cannot be said. */
import { isDeepStrictEqual } from 'node:util';
import { OperationalError } from '../../../core/base/errors.ts';
import { compareForm, formatPath } from '../../../core/mail/address.ts';
import { applyHeaderEdits, replacedBody } from '../../../core/mail/apply-edits.ts';
import type { Edit } from '../../../core/mail/edit.ts';
import type { Recipient } from '../../../core/mail/envelope.ts';
import { mailWords, rcptWords } from '../../../core/mail/esmtp-parameters.ts';
import { readHeader } from '../../../core/mail/read-header.ts';
import {
  type ActionName,
  encodeReply,
  type MilterModification,
  replacementChunks,
} from '../../../core/net/milter/index.ts';
import type { Decision } from '../../flow/keeper.ts';
import type { MailFrom } from '../../flow/session.ts';
import { headerChanges } from './header-changes.ts';

/** What the MTA knows of the transaction, and how it wants to be told. */
export interface MtaView {
  readonly mailFrom: MailFrom;
  /** Path of each recipient as the MTA gave it, by the address's form for comparing. */
  readonly paths: ReadonlyMap<string, string>;
  readonly actions: ReadonlySet<ActionName>;
  readonly leadingSpace: boolean;
  /** headerChanges explains it. */
  readonly indexOffset: number;
}

export interface Told {
  /** Packets of every modification, in order. */
  readonly modifications: readonly Buffer[];
  readonly last: 'continue' | 'discard';
}

/** @throws OperationalError `milter-cannot` where the MTA, or the protocol, has no word for the decision */
export function tellMta(decision: Decision, view: MtaView): Told {
  const kinds = new Set([...decision.outcomes.values()].map(({ kind }) => kind));
  kinds.delete('same');
  if (kinds.size === 1 && kinds.has('discard')) return { modifications: [], last: 'discard' };
  const changes = [...modificationsOf(decision, view)];
  if (kinds.has('hold') && kinds.size === 1) changes.push(quarantine(decision));
  // A refusal of one recipient after the data, and a recipient who is to wait, have no word in the protocol.
  else if ([...kinds].some((kind) => kind !== 'deliver' && kind !== 'discard')) {
    throw cannot(`recipients fare differently (${[...kinds].join(', ')})`);
  }
  for (const { type } of changes) {
    const action = actionFor[type];
    if (!view.actions.has(action)) throw cannot(`the MTA does not offer ${action}`);
  }
  return { modifications: changes.map(encodeReply), last: 'continue' };
}

const actionFor: Readonly<Record<MilterModification['type'], ActionName>> = {
  addHeader: 'addHeaders',
  insertHeader: 'addHeaders',
  changeHeader: 'changeHeaders',
  changeSender: 'changeSender',
  addRecipient: 'addRecipient',
  addRecipientWithArguments: 'addRecipientWithArguments',
  deleteRecipient: 'deleteRecipient',
  replaceBody: 'changeBody',
  quarantine: 'quarantine',
};

function* modificationsOf(decision: Decision, view: MtaView): Generator<MilterModification> {
  const { source, envelope } = decision;
  const edits = [...decision.edits, ...sharedEdits(decision)];
  const header = applyHeaderEdits(readHeader(source), edits, { smtputf8: envelope.smtputf8 });
  yield* headerChanges(header, view.leadingSpace, view.indexOffset);
  yield* senderChange(decision, view);
  yield* recipientChanges(decision, view);
  const body = replacedBody(edits);
  if (body !== undefined) yield* replacementChunks(body);
}

/** There is one message for all: edits of single recipients can be told only where all have the same. */
function sharedEdits({ outcomes, envelope, recipientEdits }: Decision): readonly Edit[] {
  const receiving = envelope.recipients.filter(({ id }) => outcomes.get(id)?.kind !== 'discard');
  const [first = [], ...others] = receiving.map(({ id }) => recipientEdits[id] ?? []);
  if (others.every((edits) => isDeepStrictEqual(edits, first))) return first;
  throw cannot('edits differ by recipient');
}

function* senderChange({ envelope }: Decision, { mailFrom }: MtaView): Generator<MilterModification> {
  const words = mailWords(envelope).join(' ');
  const parametersChanged = words !== mailWords(mailFrom).join(' ');
  if (envelope.sender === mailFrom.sender && !parametersChanged) return;
  yield {
    type: 'changeSender',
    path: formatPath(envelope.sender),
    ...(parametersChanged && words !== '' && { arguments: words }),
  };
}

function* recipientChanges(
  { envelope, outcomes }: Decision,
  { paths, actions }: MtaView,
): Generator<MilterModification> {
  const wanted = new Map<string, Recipient>();
  for (const recipient of envelope.recipients) {
    if (outcomes.get(recipient.id)?.kind !== 'discard') wanted.set(compareForm(recipient.address), recipient);
  }
  for (const [form, path] of paths) if (!wanted.has(form)) yield { type: 'deleteRecipient', path };
  for (const [form, recipient] of wanted) {
    if (paths.has(form)) continue;
    const path = formatPath(recipient.address);
    const words = rcptWords(recipient).join(' ');
    if (words === '' || !actions.has('addRecipientWithArguments')) yield { type: 'addRecipient', path };
    else yield { type: 'addRecipientWithArguments', path, arguments: words };
  }
}

function quarantine({ outcomes }: Decision): MilterModification {
  for (const outcome of outcomes.values()) {
    // One line of printable text: MTAs put it into their queue files and logs.
    if (outcome.kind === 'hold')
      return { type: 'quarantine', reason: outcome.reason.replace(/\p{Cc}/gu, ' ').slice(0, 200) || 'held' };
  }
  throw new TypeError('nothing is held');
}

function cannot(what: string): OperationalError {
  return new OperationalError('milter-cannot', `a milter cannot tell its MTA this: ${what}`, {
    temporary: true,
  });
}
