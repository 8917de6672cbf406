/** A delivery is a plan made before the 250 and carried out after it. Actions are values with an id that never changes. */
import type { Json } from '../base/json.ts';
import type { Edit } from '../mail/edit.ts';
import type { DeliverBy, DsnNotify } from '../mail/envelope.ts';

/** What a `deliver` hook asks for. The core gives each an id `transaction/recipient/ordinal`. */
export type Action =
  | {
      readonly type: 'store';
      /** Folder name in UTF-8 with `/` between levels; `INBOX` is the default mailbox. */
      readonly mailbox: string;
      /** IMAP flags and keywords: `\Seen`, `$Junk` ... */
      readonly flags?: readonly string[];
      /** Create the folder when it is missing; otherwise a missing folder means INBOX, and the trace says so. */
      readonly create?: boolean;
      /** Epoch milliseconds; the time of acceptance when absent. */
      readonly internalDate?: number;
      /** Edits for this copy alone, on top of the message's. */
      readonly edits?: readonly Edit[];
      /** Overrides the configured format of the mailbox. */
      readonly format?: 'maildir' | 'mbox' | 'mh';
      /** Absolute path instead of a folder name: procmail only, in the user's own process. */
      readonly path?: string;
      /** A generated message (CRLF line ends) in place of the one that came: the user's copy of what was sent. RFC 8580. */
      readonly message?: Uint8Array;
      /** What the rules keep without having said so: goes where a `keepIn` of another plugin says. RFC 5228 section 2.10.2. */
      readonly implicit?: boolean;
    }
  /** Where mail of this recipient goes for which no rule names a place, instead of INBOX. */
  | { readonly type: 'keepIn'; readonly mailbox: string; readonly create?: boolean }
  | ({ readonly type: 'redirect'; readonly address: string; readonly edits?: readonly Edit[] } & DsnWishes)
  /** A whole generated message (vacation, MDN, DSN) that goes out through submit(). */
  | {
      readonly type: 'reply';
      readonly sender: string;
      readonly recipients: readonly string[];
      /** The message, CRLF line ends. */
      readonly message: Uint8Array;
      /**
       * Sent unless the plugin's state holds the key; then the key is held for that long. Asked and set when the reply
       * is carried out, after the 250: a crash or a retry neither loses nor repeats it.
       */
      readonly once?: OnceKey;
    }
  | { readonly type: 'notify'; readonly method: string; readonly parameters: Json }
  /** Sets a key of the plugin's state once the mail is accepted, to the id of this action. */
  | ({ readonly type: 'remember' } & OnceKey)
  | { readonly type: 'discard'; readonly reason: string }
  /** Refuse this recipient where the door still can; where it cannot, the flow decides by the rule in ARCHITECTURE.md. */
  | {
      readonly type: 'refuse';
      readonly code: number;
      readonly enhanced: string;
      readonly text: string;
      /** Tells the sender, in place of our DSN, where the client cannot be told any more (an MDN, CRLF). RFC 5429 section 2.2. */
      readonly notification?: Uint8Array;
    }
  /** A program of the user (procmail `|`, maildrop `xfilter`): argument vector, never a shell string of ours. */
  | {
      readonly type: 'run';
      readonly argv: readonly string[];
      readonly edits?: readonly Edit[];
      /**
       * The operator named the program: the server runs it, after the local copies. Where it fails for good the message
       * goes to INBOX, or nothing happens. Without it a program is only for delivery as the user.
       */
      readonly ofSite?: { readonly onFailure: 'keep' | 'ignore' };
    };

/** What is asked of the next server about reports. RFC 3461, RFC 6009 section 4. */
export interface DsnWishes {
  readonly notify?: readonly DsnNotify[];
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  /** RFC 2852. */
  readonly deliverBy?: DeliverBy;
}

export interface OnceKey {
  readonly key: string;
  readonly seconds: number;
  /** Whose state; filled in by the pipeline with the name of the plugin that answered. */
  readonly plugin?: string;
}

export type ActionType = Action['type'];
