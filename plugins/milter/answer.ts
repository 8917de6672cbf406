/** What a milter decided, as a hook's answer. */

import { type MilterModification, MilterWireError, parseReplyLines } from 'mailfilter/milter';
import {
  addRecipient,
  changeSender,
  deleteRecipient,
  discard,
  type Edit,
  type HookAnswer,
  quarantine,
  reject,
  replaceBody,
  tempfail,
  type Verdict,
} from 'mailfilter/plugin';
import { headerEdit, type MessageView } from './message-view.ts';
import type { Decision, Outcome } from './session.ts';

/** @throws MilterWireError for what is no decision */
export function verdictOf(decision: Decision | undefined): Verdict | undefined {
  switch (decision?.type) {
    case undefined:
    case 'accept':
    case 'skip':
      return undefined;
    case 'reject':
      return reject(550, '5.7.1', 'rejected by policy');
    case 'tempfail':
      return tempfail(451, '4.7.1', 'try again later');
    case 'shutdown':
      return tempfail(421, '4.3.2', 'try again later');
    case 'discard':
      return discard('a milter said so');
    case 'replyCode':
      return replyVerdict(decision.lines);
    default:
      throw new MilterWireError(`${decision?.type} is no decision`);
  }
}

export function answerOf({ modifications, decision }: Outcome, view: MessageView): HookAnswer {
  const decided = verdictOf(decision);
  const held = modifications.find((change) => change.type === 'quarantine');
  const verdict = decided ?? (held && quarantine(held.reason || 'a milter said so'));
  const result = { decision: decision?.type ?? 'continue', modifications: modifications.length };
  // Whoever refuses or drops a message has nothing to change in it.
  if (decided) return { verdict: decided, result };
  return { ...(verdict && { verdict }), edits: editsOf(modifications, view), result };
}

function replyVerdict(lines: string): Verdict {
  const { code, enhanced, text } = parseReplyLines(lines);
  const status = enhanced ?? (code < 500 ? '4.7.1' : '5.7.1');
  return code < 500 ? tempfail(code, status, text) : reject(code, status, text);
}

function editsOf(modifications: readonly MilterModification[], view: MessageView): Edit[] {
  const edits: Edit[] = [];
  const chunks: Uint8Array[] = [];
  for (const change of modifications) {
    if (change.type === 'replaceBody') chunks.push(change.chunk);
    else if ('name' in change) edits.push(headerEdit(change, view));
    else edits.push(...envelopeEdits(change));
  }
  return chunks.length > 0 ? [...edits, replaceBody(Buffer.concat(chunks))] : edits;
}

function envelopeEdits(change: Exclude<MilterModification, { readonly name: string }>): Edit[] {
  switch (change.type) {
    case 'changeSender':
      return [changeSender(addressOf(change.path), parametersOf(change.arguments))];
    case 'addRecipient':
      return [addRecipient(addressOf(change.path))];
    case 'addRecipientWithArguments':
      return [addRecipient(addressOf(change.path), parametersOf(change.arguments))];
    case 'deleteRecipient':
      return [deleteRecipient(addressOf(change.path))];
    default:
      return [];
  }
}

function addressOf(path: string): string {
  return path.replace(/^<(.*)>$/, '$1');
}

function parametersOf(words: string | undefined): Record<string, string | true> | undefined {
  const pairs = (words ?? '').split(' ').filter(Boolean);
  if (pairs.length === 0) return undefined;
  return Object.fromEntries(
    pairs.map((pair): [string, string | true] => {
      const [keyword = '', ...value] = pair.split('=');
      return [keyword.toUpperCase(), value.length > 0 ? value.join('=') : true];
    }),
  );
}
