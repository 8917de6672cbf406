/** The plan of an accepted message as text for the journal. */
import { parseWithBytes, stringifyWithBytes } from '../../core/base/json-bytes.ts';
import type { Edit } from '../../core/mail/edit.ts';
import { type Accepted, acceptedVersion } from './accepted.ts';

/** Octets that lie in a file beside the segments, named here. */
export interface JournalFile {
  /** Name in the journal's directory of message files. */
  readonly name: string;
  readonly length: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

export type PlanText =
  | {
      readonly accepted: Accepted;
      /** Absent: the message is the record's body. */
      readonly bodyFile?: JournalFile;
    }
  /** The plan itself is too large for a record. */
  | { readonly planFile: JournalFile };

export function writePlan(plan: PlanText): Buffer {
  return Buffer.from(holdsText(plan) ? JSON.stringify(plan) : stringifyWithBytes(plan));
}

/** True where no octets can be in it, known without a walk through all of it: what most mail is. */
function holdsText(plan: PlanText): boolean {
  if (!('accepted' in plan)) return true;
  const { queue, edits, stores } = plan.accepted;
  return queue.length === 0 && textEdits(edits) && stores.every((store) => textEdits(store.edits));
}

function textEdits(edits: readonly Edit[]): boolean {
  return edits.every(({ type }) => type !== 'replaceBody');
}

/** The plan is of a version that this program does not know. */
export class NewerPlan extends Error {}

/** @throws NewerPlan; Error when the text is no plan */
export function readPlan(text: Uint8Array): PlanText {
  const plan = parseWithBytes(
    Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString(),
  ) as PlanText;
  if ('accepted' in plan && plan.accepted.version !== acceptedVersion) {
    throw new NewerPlan(`unknown version of a plan: ${plan.accepted.version}`);
  }
  return plan;
}
