/** What a user did to a message by IMAP, for the script that its mailbox names. RFC 6785. */

export interface ImapEvent {
  /** Value of the annotation `/shared/imapsieve/script`: the name of a script. Section 2.3.1. */
  readonly script: string;
  /** Section 4.3; a MOVE is a COPY. */
  readonly cause: 'APPEND' | 'COPY' | 'FLAG';
  /** Flags that were set or removed, where that is the cause. */
  readonly changedFlags: readonly string[];
}
