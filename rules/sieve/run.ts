/** The state of one run: what its steps and tests read and change. Nothing outside of it is touched. */
import type { SeenKey } from './actions.ts';
import type { RunPlace } from './compiler.ts';
import type { Answer, Environment, SieveSettings } from './environment.ts';
import { Fault, Suspended } from './fault.ts';
import type { SieveLimits } from './limits.ts';
import { type MessageVersion, openSieveMessage } from './message.ts';
import type { Part } from './mime/part.ts';
import { Plan } from './plan.ts';
import type { LazyMessage } from './run-types.ts';
import type { Script } from './script.ts';
import { Tracer } from './trace.ts';

/** One script of the run: its variables and match values are its own. RFC 6609 section 3. */
export interface Frame {
  readonly script: Script;
  readonly variables: (string | undefined)[];
  /** Made when somebody asks: most scripts match more than they look at. */
  matchValues: (() => readonly string[]) | undefined;
}

/** Why the steps of a block end early. */
export type Exit =
  | { readonly type: 'stop' }
  | { readonly type: 'return' }
  | { readonly type: 'break'; readonly loop: Loop };

export interface Loop {
  readonly name: string | undefined;
  part: Part;
}

export interface RunInit {
  readonly message: LazyMessage;
  readonly environment: Environment;
  readonly limits: SieveLimits;
  readonly trace: boolean;
  /** Answers of earlier attempts of the same run. */
  readonly answers: Map<string, unknown>;
  /** Milliseconds on a clock that only goes forward. */
  readonly startedMs: number;
}

/** Octets compared that count as one step. */
const octetsPerStep = 256;

export class Run {
  environment: Environment;
  settings: SieveSettings;
  limits: SieveLimits;
  readonly trace: Tracer | undefined;
  readonly answers: Map<string, unknown>;
  plan: Plan;
  /** RFC 6609 section 3.4. */
  readonly globals = new Map<string, string>();
  readonly notes: string[] = [];
  readonly log: string[] = [];
  readonly seen: SeenKey[] = [];
  /** Loops under way, the innermost last. */
  readonly loops: Loop[] = [];
  /** What extensions keep for this run, by their name. */
  readonly kept = new Map<string, unknown>();
  /** Includes so far, and the scripts that are under way. */
  readonly includes: { count: number; readonly once: Set<string>; readonly stack: string[] } = {
    count: 0,
    once: new Set(),
    stack: [],
  };
  /** As the actions from here on see it. */
  message: MessageVersion;
  /** As it came. */
  original: MessageVersion;
  frame!: Frame;
  exit: Exit | undefined;
  place: RunPlace = { line: 1, column: 1, script: 'script' };
  /** The internal variable of imap4flags. */
  flags: readonly string[];
  /** Octets of the message as it came. RFC 5228 section 5.9. */
  sizeBytes: number;
  readonly #startedMs: number;
  #steps = 0;
  #checkAt = 1000;
  #octets = 0;
  #questions = 0;

  constructor(init: RunInit) {
    this.environment = init.environment;
    this.settings = init.environment.settings ?? {};
    this.limits = init.limits;
    this.answers = init.answers;
    this.trace = init.trace ? new Tracer(init.limits.traceLinesMax) : undefined;
    this.plan = new Plan(init.limits);
    this.flags = init.environment.flags ?? [];
    this.sizeBytes = init.message.sizeBytes;
    this.#startedMs = init.startedMs;
    this.original = openSieveMessage(init.message, (question) => this.ask('message', question));
    this.message = this.original;
  }

  /** Called by every test and command before it runs. */
  enter(place: RunPlace): void {
    this.place = place;
    this.count(1);
  }

  /** Counts work, so that a script ends however it is written. */
  count(steps: number): void {
    this.#steps += steps;
    if (this.#steps < this.#checkAt) return;
    this.#checkAt = this.#steps + 1000;
    if (this.#steps > this.limits.stepsMax)
      throw new Fault(`execution exceeded the limit of ${this.limits.stepsMax} steps`);
    if (performance.now() - this.#startedMs > this.limits.runMs)
      throw new Fault(`execution exceeded the limit of ${this.limits.runMs} milliseconds`);
  }

  countOctets(octets: number): void {
    this.#octets += octets;
    if (this.#octets < octetsPerStep) return;
    const steps = Math.floor(this.#octets / octetsPerStep);
    this.#octets -= steps * octetsPerStep;
    this.count(steps);
  }

  /**
   * The answer to a question to the environment. The same key gets the same answer in one run.
   * @throws Suspended where it has to be waited for
   */
  ask<T>(key: string, question: () => Answer<T>): T {
    if (this.answers.has(key)) return this.answers.get(key) as T;
    this.#questions++;
    if (this.#questions + this.answers.size > this.limits.questionsMax)
      throw new Fault(`more than ${this.limits.questionsMax} questions about folders, lists and the like`);
    const answer = question();
    if (answer instanceof Promise) throw new Suspended(key, answer);
    return answer;
  }

  /** Values of `${0}`, `${1}` ... : the last match that succeeded. RFC 5229 section 3.2. */
  setMatchValues(values: () => readonly string[]): void {
    this.frame.matchValues = values;
  }

  /** The part of the innermost loop, or the message. RFC 5703 section 3. */
  get part(): Part {
    return this.loops.at(-1)?.part ?? this.message.tree(this.limits);
  }

  /** After the message has changed: the loop goes on with the part that lies where its own lay. */
  refreshLoops(): void {
    const tree = this.message.tree(this.limits);
    for (const loop of this.loops)
      loop.part = pathTo(loop.part).reduce((part, at) => part.children[at] ?? part, tree);
  }

  /** The message as the actions from here on see it. @throws Fault where more was changed than can be told */
  edit(message: MessageVersion): void {
    const max = this.limits.messageEditsMax;
    if (message.edits.length > max) throw new Fault(`more than ${max} changes of the message`);
    this.message = message;
  }

  note(text: string): void {
    const { script, line } = this.place;
    this.notes.push(`${script}: line ${line}: ${text}`);
  }
}

/** Which child of which, from the outermost part on. */
function pathTo(part: Part): readonly number[] {
  return part.parent ? [...pathTo(part.parent), part.parent.children.indexOf(part)] : [];
}
