/** What acceptance writes down: the plan of one transaction, complete enough to be carried out after a crash without running a hook. */
import type { Json } from '../../core/base/json.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { StoreAction } from '../delivery/store.ts';
import type { QueueWork } from '../queue/queue.ts';
import type { SpooledMessage } from './session.ts';

/** Version of the journal's record format; readers refuse what they do not know. */
export const acceptedVersion = 1;

export interface Accepted {
  readonly version: typeof acceptedVersion;
  /** Transaction id. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly acceptedAt: number;
  readonly envelope: Envelope;
  /** Edits common to every copy; Received and Authentication-Results are among them. */
  readonly edits: readonly Edit[];
  /** Local copies, carried out first. */
  readonly stores: readonly StoreAction[];
  /** Everything else goes to the queue under its action id: relays, redirects, replies, held mail, waiting recipients. */
  readonly queue: readonly { readonly id: string; readonly work: QueueWork }[];
  /** Keys of plugins' state that hold from now on. */
  readonly remembered?: readonly RememberedKey[];
  /** Facts that the trace of a replayed delivery should hold. */
  readonly facts?: Readonly<Record<string, Json>>;
}

export interface RememberedKey {
  /** Of the action; what the key then holds. */
  readonly id: string;
  readonly plugin: string;
  readonly key: string;
  readonly seconds: number;
}

/** An accepted message together with its bytes. */
export interface AcceptedMessage {
  readonly accepted: Accepted;
  readonly source: MessageSource;
  /**
   * Where the bytes came through the spool: their checksum is compared before they are written, and acceptance
   * releases them, once, when no copy needs them any more; also when it rejects.
   */
  readonly spooled?: SpooledMessage;
  /** An earlier attempt may have stored copies under the same names before it was cut off: they are looked for first. */
  readonly repeated?: boolean;
}
