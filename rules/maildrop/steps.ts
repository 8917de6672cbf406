/** What a running filter asks of the outside world: it yields a step, and is told how that went. */

/** A line for the user's shell. */
export interface ShellLine {
  readonly shell: string;
  readonly line: string;
}

export interface StepFacts {
  /** Of the statement in its file; 0 for what the filter did not ask for. */
  readonly at: number;
  /** All variables, as programs see them. */
  readonly environment: Readonly<Record<string, string>>;
}

export type Step =
  /** A mailbox: a Maildir where a folder of that name is one, else a file in mbox format. */
  | ({
      readonly type: 'store';
      readonly path: string;
      readonly input: Uint8Array;
      readonly sender: string;
      /** Octets of the mail, as a Maildir's names tell. */
      readonly size: number;
      /** Flags and keywords for a Maildir. */
      readonly flags: string;
      readonly keywords: readonly string[];
      readonly umask: number;
    } & StepFacts)
  /** A program that takes the mail; `forward` names to whom. */
  | ({
      readonly type: 'pipe';
      readonly command: ShellLine;
      readonly input: Uint8Array;
      readonly forward: string | undefined;
    } & StepFacts)
  /** Its output is wanted: the mail from now on, or a text. */
  | ({
      readonly type: 'filter' | 'output';
      readonly command: ShellLine;
      readonly input: Uint8Array;
    } & StepFacts)
  /** Without the mail. */
  | ({ readonly type: 'system'; readonly command: ShellLine } & StepFacts)
  | ({
      readonly type: 'lock';
      readonly kind: 'dotlock' | 'flock';
      readonly path: string;
      readonly sleepSeconds: number;
      readonly timeoutSeconds: number;
    } & StepFacts)
  | { readonly type: 'unlock'; readonly kind: 'dotlock' | 'flock'; readonly path: string }
  /** A file of patterns or of statements. */
  | { readonly type: 'read'; readonly path: string }
  | { readonly type: 'logfile'; readonly path: string }
  | { readonly type: 'log'; readonly text: string }
  /** For standard output. */
  | { readonly type: 'print'; readonly text: string }
  /** What goes wrong, for standard error. */
  | { readonly type: 'say'; readonly text: string };

/** How a step went. Only the fields that its type asks for are looked at. */
export interface StepOutcome {
  readonly ok: boolean;
  /** Negative where a signal ended the program. */
  readonly exitCode?: number;
  readonly output?: Uint8Array;
  /** Octets that were stored. */
  readonly length?: number;
  /** Of a file, an octet a character. */
  readonly source?: string;
}

/** What runs in steps: a generator that yields each and is given its outcome. */
export type Running<Result> = Generator<Step, Result, StepOutcome>;

/** -1 where a signal ended it. */
export function codeOf({ exitCode = 0 }: StepOutcome): number {
  return exitCode < 0 ? -1 : exitCode;
}
