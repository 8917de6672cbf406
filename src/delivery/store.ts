/** One copy for one mailbox: the unit of local delivery, decided before the 250 and safe to carry out again. */
import type { Edit } from '../../core/mail/edit.ts';

export interface StoreAction {
  /** transaction/recipient/ordinal. */
  readonly id: string;
  /** Address of the local user who owns the mailbox. */
  readonly user: string;
  readonly format: 'maildir' | 'mbox';
  /** Absolute: the Maildir's root, or the INBOX mbox file. */
  readonly path: string;
  /** `INBOX`, or folder levels in UTF-8 parted by `/`. */
  readonly folder: string;
  /** Create the folder when missing; without it a missing folder means INBOX. The INBOX itself is always created. */
  readonly create: boolean;
  readonly flags: readonly string[];
  /** Epoch milliseconds. */
  readonly internalDate: number;
  /** Base of the Maildir file name, unique for ever, without size fields and flags. */
  readonly name: string;
  /** Reverse-path for Return-Path and the mbox From_ line; '' is the null path. */
  readonly sender: string;
  /** For Delivered-To. */
  readonly deliveredTo: string;
  /** What this copy changes on top of the common edits. */
  readonly edits: readonly Edit[];
  /** Octets of the user's quota that were set aside for this copy, to be given back once it is stored or deferred. */
  readonly reservedOctets?: number;
}

export interface StoreResult {
  /** Absolute path of the file written (Maildir), or of the mbox. */
  readonly path: string;
  /** Octets as stored. */
  readonly length: number;
  /** Where a missing folder made it INBOX. */
  readonly fallback?: string;
  /** It lay there before, from an attempt that was cut off. */
  readonly present?: true;
  /** Keywords that the mailbox had no room for. */
  readonly droppedFlags?: readonly string[];
}
