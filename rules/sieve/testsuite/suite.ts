/** The state of a test script: its message, settings, store, the script it compiled and what came of it. */

import { formatDate } from '../../../core/mail/date.ts';
import { compileSieve } from '../compile.ts';
import type { Environment, ScriptName, SieveEnvelope } from '../environment.ts';
import { Fault } from '../fault.ts';
import { openSieveMessage, wholeMessage } from '../message.ts';
import { Plan } from '../plan.ts';
import type { Program } from '../program.ts';
import { Run } from '../run.ts';
import { runInTurn } from '../run-sieve.ts';
import type { Script } from '../script.ts';
import { parseEnvelopePath } from '../single-address.ts';
import { textOctets } from '../text.ts';
import { deliverResult } from './deliver-result.ts';
import { MailStore } from './mail-store.ts';
import { extensionsOf, limitsOf, settingsOf } from './settings.ts';
import { statusRatio } from './status-header.ts';

/** Reads a file by its path relative to the test script; undefined where there is none. */
export type ReadFile = (path: string) => Uint8Array | undefined;

export interface TestResult {
  readonly name: string;
  readonly line: number;
  /** Absent where it passed. */
  readonly failure?: string;
}

interface EnvelopeText {
  from?: string;
  to?: string;
  originalTo?: string;
  auth?: string;
}

export class Suite {
  readonly config = new Map<string, string>();
  readonly store = new MailStore();
  readonly results: TestResult[] = [];
  /** What the last compilation, run or execution complained about. */
  errors: string[] = [];
  /** Runs the test script itself. */
  readonly main: Run;
  /** What test_result_ commands look at: the test script's own run, or that of the script it ran. */
  current: Run;
  /** Why the test under way has failed. */
  failure: string | undefined;
  /** A test is under way. */
  testing = false;
  readonly #readFile: ReadFile;
  readonly #now: number;
  #compiled: Program | undefined;
  #octets: Buffer;
  #envelope: EnvelopeText = {};
  #flags: readonly string[] = [];

  constructor(readFile: ReadFile, now: number) {
    this.#readFile = readFile;
    this.#now = now;
    this.#octets = defaultMessage(now);
    this.main = this.#newRun();
    this.main.kept.set('testsuite', this);
    this.current = this.main;
  }

  /** Text in a file of the test script. */
  compile(path: string): boolean {
    this.errors = [];
    this.#compiled = undefined;
    const source = this.#readFile(path);
    if (!source) {
      this.errors.push(`script '${path}' not found`);
      return false;
    }
    const name = path.replace(/^.*\//, '').replace(/\.sieve$/, '');
    const { program, errors } = compileSieve(source, this.#compileOptions(name));
    if (program) {
      this.#compiled = program;
      return true;
    }
    const syntax = errors.some(({ message }) =>
      /^(?:expect|unexpected|end of file|too many arg|cannot nest|number exc|encountered imp)/.test(message),
    );
    this.errors.push(...errors.map(({ message }) => message), syntax ? 'parse failed' : 'validation failed');
    return false;
  }

  #compileOptions(name: string) {
    const limits = limitsOf(this.config);
    const extensions = extensionsOf(this.config);
    return {
      name,
      limits,
      strict: true,
      ...(extensions && { extensions }),
      script: (script: ScriptName) => this.#script(script),
    };
  }

  #script({ location, name }: ScriptName): Uint8Array | undefined {
    const folder = location === 'personal' ? 'included' : 'included-global';
    return this.#readFile(`${folder}/${name}.sieve`);
  }

  /** Runs what was compiled; false where that failed. */
  run(append: boolean): boolean {
    if (!this.#compiled) throw new Fault('no script was compiled');
    return this.#runAll([this.#compiled], append);
  }

  /** Compiles and runs scripts in turn, and carries out what they come to. */
  runSeveral(paths: readonly string[]): boolean {
    const programs: Program[] = [];
    for (const path of paths) {
      if (!this.compile(path)) return false;
      programs.push(this.#compiled!);
    }
    return this.#runAll(programs, false) && this.execute();
  }

  #runAll(programs: readonly Program[], append: boolean): boolean {
    this.errors = [];
    const run = this.#newRun();
    if (append) run.plan = this.current.plan;
    this.current = run;
    try {
      runInTurn(run, programs as readonly Script[]);
      return true;
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.errors.push(reason.message);
      return false;
    }
  }

  /** Delivers; false where that failed. */
  execute(): boolean {
    this.errors = [];
    try {
      const problem = deliverResult(this.current, this.store, this.config);
      if (problem === undefined) return true;
      this.errors.push(problem);
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.errors.push(reason.message);
    }
    return false;
  }

  resetResult(): void {
    this.current = this.main;
    this.main.plan = new Plan(this.main.limits);
    this.main.flags = this.#flags;
    this.main.seen.length = 0;
    this.store.sent.length = 0;
    this.main.message = this.main.original;
  }

  setMessage(octets: Buffer, flags: readonly string[] = [], envelope: EnvelopeText = {}): void {
    this.#octets = octets;
    this.#flags = flags;
    this.#envelope = envelope;
    const run = this.main;
    run.original = openSieveMessage(wholeMessage(octets), (question) => question() as Uint8Array);
    run.message = run.original;
    run.sizeBytes = octets.length;
    run.flags = flags;
    this.refresh();
  }

  setEnvelope(part: keyof EnvelopeText, text: string): void {
    this.#envelope[part] = text;
    this.refresh();
  }

  /** After a change of settings or envelope. */
  refresh(): void {
    const { main } = this;
    const limits = limitsOf(this.config);
    const changed = JSON.stringify(limits) !== JSON.stringify(main.limits);
    main.environment = this.#environment(main);
    main.settings = main.environment.settings!;
    if (!changed) return;
    main.limits = limits;
    const { entries, implicitKeep } = main.plan;
    main.plan = Object.assign(new Plan(limits), { entries: [...entries], implicitKeep });
  }

  #newRun(): Run {
    const limits = limitsOf(this.config);
    const environment = this.#environment(undefined);
    const run = new Run({
      message: wholeMessage(this.#octets),
      environment,
      limits,
      trace: false,
      answers: new Map(),
      startedMs: performance.now(),
    });
    run.flags = this.#flags;
    return run;
  }

  #environment(_run: Run | undefined): Environment {
    const envelope = this.#envelopeOfRun();
    const fields = () =>
      openSieveMessage(wholeMessage(this.#octets), (question) => question() as Uint8Array).fields;
    return {
      now: this.#now,
      zoneMinutes: (epochMs) => -new Date(epochMs).getTimezoneOffset(),
      envelope,
      settings: settingsOf(this.config, envelope),
      item: (name) => environmentItem(this.config, name),
      mailboxExists: (name) => this.store.exists(name),
      metadata: (mailbox, annotation) => this.store.annotation(mailbox, annotation),
      serverMetadata: (annotation) => this.store.annotation(undefined, annotation),
      script: (name) => this.#script(name),
      spamPercent: () => {
        const ratio = statusRatio(this.config, 'sieve_spamtest', fields(), 10);
        return ratio === undefined ? undefined : ratio * 100;
      },
      virusLevel: () => {
        const ratio = statusRatio(this.config, 'sieve_virustest', fields(), 5);
        return ratio === undefined ? 0 : Math.min(5, 1 + Math.floor(ratio * 4 + 1e-9));
      },
    };
  }

  /** What is not set comes from the message. */
  #envelopeOfRun(): SieveEnvelope {
    const { fields } = openSieveMessage(wholeMessage(this.#octets), (question) => question() as Uint8Array);
    const first = (names: readonly string[], byDefault: string) => {
      for (const name of names) {
        const address = fields.addresses(name).find(({ valid }) => valid)?.address;
        if (address !== undefined && address !== '') return address;
      }
      return byDefault;
    };
    const path = (text: string) => parseEnvelopePath(text);
    const { from, to, originalTo, auth } = this.#envelope;
    const sender =
      from === undefined ? first(['return-path', 'sender', 'from'], 'sender@example.com') : path(from);
    const recipient = to === undefined ? first(['envelope-to', 'to'], 'recipient@example.com') : path(to);
    const original = originalTo === undefined ? recipient : path(originalTo);
    return {
      ...(sender !== undefined && { from: sender }),
      ...(recipient !== undefined && { to: recipient }),
      ...(original !== undefined && { originalTo: original }),
      ...(auth !== undefined && { auth }),
    };
  }
}

/** Items that a delivery agent has. RFC 5183 section 4.1. */
function environmentItem(config: ReadonlyMap<string, string>, name: string): string | undefined {
  const items: Readonly<Record<string, string>> = {
    // Test scripts of Pigeonhole look for its name.
    name: 'Pigeonhole Sieve',
    domain: 'example.com',
    host: 'mail.example.com',
    // Test scripts run over mail that lies there, as Pigeonhole's do.
    location: 'MS',
    phase: 'post',
    'vnd.dovecot.default-mailbox': 'INBOX',
    'vnd.dovecot.username': 'testsuite',
  };
  const configured = /^vnd\.dovecot\.config\.(.+)$/.exec(name);
  if (configured) return config.get(`sieve_env_${configured[1]}`) ?? config.get(`sieve_env/${configured[1]}`);
  return Object.hasOwn(items, name) ? items[name] : undefined;
}

function defaultMessage(now: number): Buffer {
  return textOctets(
    [
      'From: sender@example.com',
      'To: recipient@example.com',
      `Date: ${formatDate(now)}`,
      'Message-ID: <test@example.com>',
      'Subject: Test',
      '',
      'Test.',
      '',
    ].join('\r\n'),
  );
}
