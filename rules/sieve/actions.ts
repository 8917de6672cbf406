/** What a run plans: values that whoever runs the script carries out, in their order. RFC 5228 section 4. */
import type { Edit } from '../../core/mail/edit.ts';
import type { Place } from './problem.ts';

interface Planned {
  /** Where in which script the action stands; absent for the implicit keep. */
  readonly at?: Place & { readonly script: string };
}

interface Stored extends Planned {
  /** IMAP flags and keywords, `\\` first for system flags: those of `:flags`, else of the internal variable. RFC 5232. */
  readonly flags: readonly string[];
  /** The message as edited up to this action (editheader, replace, enclose); none when it is as it came. */
  readonly edits: readonly Edit[];
}

export interface KeepAction extends Stored {
  readonly type: 'keep';
  /** True where no command asked for it: nothing cancelled the implicit keep, or the run failed. */
  readonly implicit: boolean;
}

export interface FileintoAction extends Stored {
  readonly type: 'fileinto';
  /** UTF-8 name as the script has it, the separator of the environment between levels. */
  readonly mailbox: string;
  /** RFC 5490: create it where it is missing. */
  readonly create: boolean;
  /** RFC 3894. */
  readonly copy: boolean;
  /** RFC 9042: this mailbox if it is there, else `mailbox`. */
  readonly mailboxId?: string;
  /** RFC 8579: a mailbox with this attribute if there is one, else `mailbox`; with `create` it gets the attribute. */
  readonly specialUse?: string;
}

/** RFC 6009 :notify, :ret, :bytimerelative, :bytimeabsolute, :bymode, :bytrace. */
export interface RedirectDelivery {
  readonly notify?: readonly ('never' | 'success' | 'failure' | 'delay')[];
  readonly ret?: 'full' | 'hdrs';
  /** Seconds from now, negative ones included, or epoch milliseconds. */
  readonly byTime?: { readonly relativeSeconds: number } | { readonly absoluteMs: number };
  readonly byMode?: 'return' | 'notify';
  readonly byTrace?: boolean;
}

export interface RedirectAction extends Planned, RedirectDelivery {
  readonly type: 'redirect';
  /** `local@domain`. */
  readonly address: string;
  readonly copy: boolean;
  readonly edits: readonly Edit[];
}

export interface RejectAction extends Planned {
  readonly type: 'reject';
  /** `ereject` must refuse at the door where that is possible at all. RFC 5429 section 2.1. */
  readonly mode: 'reject' | 'ereject';
  readonly reason: string;
  /** Of `reject`: tells the sender where the door could not, an MDN from the null reverse-path. RFC 5429 section 2.2. */
  readonly notification?: Uint8Array;
}

/** RFC 8580: where a copy of what is sent goes. */
export interface FileCarbonCopy {
  readonly mailbox: string;
  readonly create: boolean;
  readonly flags: readonly string[];
  readonly mailboxId?: string;
  readonly specialUse?: string;
}

/** RFC 5230. Only planned where all its conditions hold: the sender may be answered and was not answered lately. */
export interface VacationAction extends Planned {
  readonly type: 'vacation';
  /** Envelope sender: the null reverse-path, where the site has not configured it otherwise. RFC 5230 section 5.1. */
  readonly sender: string;
  readonly recipient: string;
  /** Ready to be sent: header and body, CRLF line ends. */
  readonly message: Uint8Array;
  /** To be remembered for `seconds` when the plan is kept: `Environment.vacationSeen` is asked with it. */
  readonly key: string;
  readonly seconds: number;
  readonly fcc?: FileCarbonCopy;
}

/** RFC 5435. */
export interface NotifyAction extends Planned {
  readonly type: 'notify';
  /** URI: `mailto:alice@example.org?subject=...`. */
  readonly method: string;
  readonly from?: string;
  readonly importance: 1 | 2 | 3;
  /** `name=value`. */
  readonly options: readonly string[];
  readonly message?: string;
  /** RFC 5436: what goes out for a mailto method, one for each recipient set; absent for other methods. */
  readonly mail?: {
    readonly sender: string;
    readonly recipients: readonly string[];
    readonly message: Uint8Array;
  };
  readonly fcc?: FileCarbonCopy;
}

/** vnd.dovecot.pipe: after the local copies; where the program fails the message is kept. */
export interface PipeAction extends Planned {
  readonly type: 'pipe';
  readonly program: string;
  readonly arguments: readonly string[];
  readonly copy: boolean;
  /** A failure is no error of the script. */
  readonly try: boolean;
  readonly edits: readonly Edit[];
}

/** vnd.dovecot.report: an abuse report from the null reverse-path. RFC 5965. */
export interface ReportAction extends Planned {
  readonly type: 'report';
  /** `abuse`, `fraud` ... */
  readonly feedback: string;
  readonly recipient: string;
  /** Ready to be sent, CRLF line ends. */
  readonly message: Uint8Array;
}

export interface DiscardAction extends Planned {
  readonly type: 'discard';
}

export type SieveAction =
  | KeepAction
  | FileintoAction
  | RedirectAction
  | RejectAction
  | VacationAction
  | NotifyAction
  | PipeAction
  | ReportAction
  | DiscardAction;

/** A key of the duplicate test (RFC 7352) that this run saw: to be remembered once the plan is carried out. */
export interface SeenKey {
  readonly key: string;
  readonly seconds: number;
}
