/** What a script may ask about besides the message: the envelope, the user, and questions answered from outside. */

/** An answer at hand, or one that has to be waited for. */
export type Answer<T> = T | Promise<T>;

/** RFC 5228 section 5.4, RFC 6009 section 2. Addresses are `local@domain`. */
export interface SieveEnvelope {
  /** `''` for the null reverse-path; absent where it is not known. */
  readonly from?: string;
  /** The recipient whose script runs, as it is delivered. */
  readonly to?: string;
  /** The recipient as the client gave it, before aliases. */
  readonly originalTo?: string;
  /** Who logged in at submission. */
  readonly auth?: string;
  /** RFC 3461, the words in lower case. */
  readonly notify?: readonly string[];
  readonly orcpt?: string;
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  /** RFC 2852: epoch milliseconds. */
  readonly byTimeAbsoluteMs?: number;
  readonly byTimeRelativeSeconds?: number;
  readonly byMode?: 'return' | 'notify';
  readonly byTrace?: boolean;
}

/** Names a script to `include`: RFC 6609 section 3.1. */
export interface ScriptName {
  readonly location: 'personal' | 'global';
  readonly name: string;
}

/** How a program ended that a script ran. */
export interface ProgramEnd {
  /** It was started and ended with 0, in time. */
  readonly ok: boolean;
  /** What it wrote, cut at the limit of whoever ran it. */
  readonly output: Uint8Array;
}

/** How the site has configured what the language leaves open. */
export interface SieveSettings {
  /** The user's own address; `envelope.to` when absent. */
  readonly userAddress?: string;
  /** Further addresses of the user, for vacation. RFC 5230 section 4.5. */
  readonly userAddresses?: readonly string[];
  /** Characters (or strings) between user and detail, default `+`. RFC 5233. */
  readonly subaddressSeparators?: readonly string[];
  /** Vacation: seconds; `:seconds` and `:days` are brought within. Maximum 0: none. RFC 6131. */
  readonly vacationMinSeconds?: number;
  readonly vacationMaxSeconds?: number;
  readonly vacationDefaultSeconds?: number;
  /** Vacation answers though no header field names the user. RFC 5230 section 4.5 says not to. */
  readonly vacationIgnoresRecipients?: boolean;
  /** Vacation has the recipient as its envelope sender instead of the null path. */
  readonly vacationFromRecipient?: boolean;
  /** Vacation takes the recipient before aliases for one of the user's addresses. */
  readonly vacationUsesOriginalRecipient?: boolean;
  /** Subject where the message has none, and where it has one: `%{subject}` stands for it. */
  readonly vacationDefaultSubject?: string;
  readonly vacationSubjectTemplate?: string;
  /** The To field of a vacation reply is taken from Sender or From whatever the envelope says. */
  readonly vacationToIgnoresEnvelope?: boolean;
  /** Envelope sender of mailto notifications, instead of `:from` or the user. RFC 5436 section 2.3. */
  readonly notifySender?: string;
  /** Author of abuse reports; postmaster at `hostname` when absent. */
  readonly reportFrom?: string;
  /** RFC 7352: seconds a key is remembered. */
  readonly duplicateDefaultSeconds?: number;
  readonly duplicateMaxSeconds?: number;
  /** Header fields that addheader and deleteheader leave alone, besides Received and Auto-Submitted. RFC 5293. */
  readonly protectedHeaders?: readonly string[];
  readonly headersNotAdded?: readonly string[];
  readonly headersNotDeleted?: readonly string[];
  /** Host for Message-IDs of what is sent. */
  readonly hostname?: string;
  /** Separator between the levels of folder names, default `/`. */
  readonly folderSeparator?: string;
}

/**
 * Where the run asks. What is absent counts as "not known": no mailbox, no list, never seen before. A method may answer
 * at once or later; the run is begun anew with each answer that had to be waited for, so that it stays free of effects.
 */
export interface Environment {
  /** Epoch milliseconds of the run. */
  readonly now: number;
  /** Minutes east of UTC for the date tests, default 0; a function where it depends on the time (summer time). */
  readonly zoneMinutes?: number | ((epochMs: number) => number);
  readonly envelope: SieveEnvelope;
  readonly settings?: SieveSettings;
  /** RFC 5183 items (`domain`, `host`, `remote-ip`, `phase` ...) and those of vendors (`vnd.dovecot.default_mailbox`). */
  item?(name: string): string | undefined;
  /** Flags of the message before the run: IMAP events. RFC 6785. */
  readonly flags?: readonly string[];
  /** True where mail can be put there. RFC 5490. */
  mailboxExists?(name: string): Answer<boolean>;
  /** RFC 9042. */
  mailboxIdExists?(id: string): Answer<boolean>;
  /** A mailbox with that attribute, or that very mailbox with it. RFC 8579. */
  specialUseExists?(attribute: string, mailbox?: string): Answer<boolean>;
  /** Value of an annotation, undefined when there is none. RFC 5490. */
  metadata?(mailbox: string, annotation: string): Answer<string | undefined>;
  serverMetadata?(annotation: string): Answer<string | undefined>;
  /** A list by its URI: undefined when unknown. RFC 6134. */
  listContains?(list: string, value: string): Answer<boolean | undefined>;
  /** Members of a list that redirect sends to. RFC 6134 section 2.5. */
  listMembers?(list: string): Answer<readonly string[] | undefined>;
  /** True when the key was remembered and is not yet forgotten. */
  duplicateSeen?(key: string): Answer<boolean>;
  vacationSeen?(key: string): Answer<boolean>;
  /** RFC 6609: source of a script, undefined when there is none. */
  script?(name: ScriptName): Answer<string | Uint8Array | undefined>;
  /** RFC 5435 section 5: whether such a URI can be notified; `mailto:` is known without asking. */
  notifyMethod?(uri: string): Answer<boolean>;
  /** RFC 5435 section 5: `online` is the one capability there is. */
  notifyCapability?(uri: string, capability: string): Answer<string | undefined>;
  /** RFC 5235: percent of certainty from 0 to 100, undefined when nothing looked. */
  spamPercent?(): Answer<number | undefined>;
  /** RFC 5235: 0 not tested to 5 certainly infected. */
  virusLevel?(): Answer<number | undefined>;
  /** vnd.dovecot.pipe: whether scripts may run a program of that plain name. */
  programExists?(name: string): Answer<boolean>;
  /** vnd.dovecot.filter, .execute: undefined where scripts may run no such program. Asked once for each command. */
  runProgram?(name: string, parameters: readonly string[], input: Uint8Array): Answer<ProgramEnd | undefined>;
  /** RFC 6558: octets of `content` in another media type, undefined when that cannot be done. */
  convert?(
    content: Uint8Array,
    from: string,
    to: string,
    parameters: readonly string[],
  ): Answer<Uint8Array | undefined>;
}
