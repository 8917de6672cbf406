/** What a running rcfile asks of the outside world: it yields a step, and is told how that went. */
/** Which parts of the mail a program or folder is given. */
export interface Parts {
  readonly header: boolean;
  readonly body: boolean;
}

/** A program: an argument vector, or a line for a shell where it holds one of SHELLMETAS. */
export type Command =
  | { readonly kind: 'program'; readonly argv: readonly string[] }
  | { readonly kind: 'shell'; readonly shell: string; readonly flags: string; readonly line: string };

/** All variables, as programs see them. */
export type Environment = Readonly<Record<string, string>>;

export type Step =
  /** A backquote: what it prints is wanted. */
  | ({ readonly type: 'output'; readonly command: Command; readonly input: Uint8Array } & StepFacts)
  /** The exit code decides. */
  | ({ readonly type: 'test'; readonly command: Command; readonly input: Uint8Array } & StepFacts)
  | ({
      readonly type: 'program';
      readonly command: Command;
      /** What becomes of what it prints: nobody's, the mail's parts, a variable's. */
      readonly output: 'none' | 'filter' | 'variable';
      readonly input: Uint8Array;
      /** Wait and look at the exit code; quietly: say nothing of a failure. */
      readonly wait: 'no' | 'yes' | 'quietly';
      readonly ignoreWriteErrors: boolean;
    } & StepFacts)
  /** SENDMAIL, its flags and the recipients. */
  | ({
      readonly type: 'forward';
      readonly argv: readonly string[];
      /** Without the program and its flags. */
      readonly recipients: readonly string[];
      readonly input: Uint8Array;
      readonly wait: 'no' | 'yes' | 'quietly';
      readonly ignoreWriteErrors: boolean;
    } & StepFacts)
  /** To stdout, for `|` alone. */
  | ({ readonly type: 'print'; readonly input: Uint8Array } & StepFacts)
  | ({
      readonly type: 'store';
      /** The first decides on the form; more of them are directories. */
      readonly folders: readonly string[];
      readonly input: Uint8Array;
      /** As it is: no empty line is added, no From_ quoted. */
      readonly raw: boolean;
    } & StepFacts)
  | {
      readonly type: 'lock';
      readonly path: string;
      readonly sleepSeconds: number;
      readonly timeoutSeconds: number;
    }
  | { readonly type: 'unlock'; readonly path: string }
  /** An rcfile's text; one that another includes is believed as that one is. */
  | { readonly type: 'read'; readonly path: string; readonly included: boolean }
  | { readonly type: 'directory'; readonly path: string }
  | { readonly type: 'umask'; readonly mask: number }
  | { readonly type: 'logfile'; readonly path: string }
  | { readonly type: 'log'; readonly text: string };

export interface StepFacts {
  /** Of the recipe or assignment in its rcfile. */
  readonly line: number;
  readonly environment: Environment;
  readonly timeoutSeconds: number;
}

/** Yields steps, is told how each went, and comes to a result. */
export type Running<Result> = Generator<Step, Result, StepOutcome>;

/** How a step went. Only the fields that its type asks for are looked at. */
export interface StepOutcome {
  /** It did what it was to do; a program's exit code is looked at besides. */
  readonly ok: boolean;
  readonly exitCode?: number;
  /** What a program printed. */
  readonly output?: Uint8Array;
  /** Where it was stored, as LASTFOLDER and the log name it. */
  readonly name?: string;
  /** Octets that were stored. */
  readonly length?: number;
  /** Text of an rcfile, an octet a character. */
  readonly source?: string;
}
