/**
 * The steps of a running rcfile as actions of the delivery plan. A store that is planned counts as done, and so does a
 * program that nobody waits for: it is run after the local copies are safe. Programs whose outcome is asked for are run now.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { isAddress } from 'mailfilter/mail';
import type { Action, DeliverInput, HookContext } from 'mailfilter/plugin';
import { type MailRoot, mailboxName } from '../../rules/procmail/mailbox-names.ts';
import type { Command, Step, StepOutcome } from '../../rules/procmail/steps.ts';
import { changedFrom } from './mail.ts';
import type { Prepared, ProcmailOptions } from './options.ts';
import { includedName, rcfileName } from './variables.ts';

export interface Planning {
  readonly input: DeliverInput;
  readonly context: HookContext<ProcmailOptions, Prepared>;
  readonly source: string;
  readonly root: MailRoot;
  /** The mail as the rcfile got it. */
  readonly octets: Uint8Array;
}

type StepOf<Type extends Step['type']> = Extract<Step, { type: Type }>;

const done: StepOutcome = { ok: true };
const failed: StepOutcome = { ok: false };
const outputBytesMax = 32 * 1024 * 1024;
const daySeconds = 86_400;

export class Plan {
  readonly #planning: Planning;
  readonly #actions: Action[] = [];
  readonly #remembered: Action[] = [];
  #directory = '/';
  #redirects = 0;

  constructor(planning: Planning) {
    this.#planning = planning;
  }

  /**
   * A program that fails keeps the mail, unless a copy lies in a mailbox: a redirect or an answer may be no more than a
   * copy of it, and once too many is better than never.
   *
   * @param exitCode of sysexits.h: what an MTA would make of it, where nothing took the mail
   */
  actions(exitCode: number): readonly Action[] {
    const isTaken = this.#actions.some(({ type }) => type === 'store');
    const actions = this.#actions.map(
      (action): Action =>
        action.type === 'run' ? { ...action, ofSite: { onFailure: isTaken ? 'ignore' : 'keep' } } : action,
    );
    const whole = [...actions, ...this.#remembered];
    if (actions.length > 0) return whole;
    return [...whole, exitCode === 0 ? { type: 'discard', reason: 'by an rcfile' } : refusalOf(exitCode)];
  }

  async answer(step: Step): Promise<StepOutcome> {
    switch (step.type) {
      case 'store':
        return this.#store(step);
      case 'forward':
        return this.#forward(step);
      case 'read':
        return this.#read(step);
      case 'program':
        return this.#program(step);
      case 'test':
      case 'output':
        return this.#run(step.command, step.input, step.line);
      case 'directory':
        this.#directory = posix.resolve(this.#directory, step.path);
        return done;
      case 'print':
        this.#log('print-refused', step.line, {});
        return failed;
      case 'lock':
      case 'unlock':
      case 'umask':
      case 'logfile':
      case 'log':
        return done;
    }
  }

  #log(event: string, line: number, facts: Readonly<Record<string, string>>): void {
    this.#planning.context.log(event, line === 0 ? { at: 'DEFAULT', ...facts } : { line, ...facts });
  }

  #store({ folders, input, line }: StepOf<'store'>): StepOutcome {
    const { octets, root } = this.#planning;
    const message = changedFrom(octets, input);
    const names: string[] = [];
    for (const folder of folders) {
      const named = mailboxName(folder, this.#directory, root);
      if (named.kind === 'none') {
        this.#log('folder-refused', line, { folder, reason: named.reason });
        return failed;
      }
      if (named.kind === 'nowhere') {
        this.#log('discard', line, {});
        continue;
      }
      names.push(named.kind === 'inbox' ? 'INBOX' : Buffer.from(named.name, 'latin1').toString('utf8'));
    }
    for (const mailbox of names) {
      this.#log('store', line, { mailbox });
      this.#actions.push({
        ...{ type: 'store', mailbox, create: true },
        ...(message !== undefined && { message }),
        // What no recipe asked for goes where other plugins say.
        ...(line === 0 && mailbox === 'INBOX' && { implicit: true }),
      });
    }
    return { ok: true, name: folders.join(' '), length: input.length };
  }

  #forward({ recipients, input, line }: StepOf<'forward'>): StepOutcome {
    const { octets, input: delivery, context } = this.#planning;
    const addresses = recipients.flatMap((word) => word.split(',')).filter((word) => word !== '');
    const whole = addresses.map((address) => withDomain(address, delivery.user));
    this.#redirects += whole.length;
    if (
      whole.length === 0 ||
      !whole.every((address) => !address.startsWith('-') && isAddress(address)) ||
      this.#redirects > context.options.redirectsMax
    ) {
      this.#log('forward-refused', line, { recipients: recipients.join(' ') });
      return failed;
    }
    this.#log('redirect', line, { recipients: whole.join(' ') });
    const message = changedFrom(octets, input);
    if (message !== undefined) {
      this.#actions.push({ type: 'reply', sender: delivery.envelope.sender, recipients: whole, message });
      return done;
    }
    for (const address of whole) this.#actions.push({ type: 'redirect', address });
    return done;
  }

  async #read({ path }: StepOf<'read'>): Promise<StepOutcome> {
    const { source, context } = this.#planning;
    if (path === rcfileName) return { ok: true, source };
    if (path === '/dev/null') return { ok: true, source: '' };
    const name = includedName(path, this.#directory);
    const script = name === undefined ? undefined : await context.scripts.load('procmail', name);
    if (script === undefined) {
      await context.scripts.note(
        'procmail',
        `cannot read ${path}: it lies beside the rcfile, or is left out`,
      );
      return failed;
    }
    return { ok: true, source: script.source };
  }

  async #program(step: StepOf<'program'>): Promise<StepOutcome> {
    const { command, input, line, output, wait } = step;
    const id = output === 'none' ? messageIdOf(command, input) : undefined;
    if (id !== undefined) return this.#duplicate(id, line);
    if (output !== 'none' || wait !== 'no') return this.#run(command, input, line);
    const { programs } = this.#planning.context.prepared;
    const argv = command.kind === 'program' ? command.argv : [];
    const path = argv[0] === undefined ? undefined : programs.pathOf(argv[0]);
    // It would be given the mail as it came.
    if (path === undefined || changedFrom(this.#planning.octets, input) !== undefined)
      return this.#refuse(command, line);
    this.#log('run', line, { program: argv.join(' ') });
    this.#actions.push({ type: 'run', argv: [path, ...argv.slice(1)] });
    return { ok: true, exitCode: 0 };
  }

  async #run(command: Command, input: Uint8Array, line: number): Promise<StepOutcome> {
    const { context, input: delivery } = this.#planning;
    const { prepared, options, deadline, clock } = context;
    const [name, ...parameters] = command.kind === 'program' ? command.argv : [];
    if (name === undefined || prepared.programs.pathOf(name) === undefined)
      return this.#refuse(command, line);
    const end = await prepared.programs.run(name, parameters, input, {
      timeoutMs: Math.min(options.programTimeoutSeconds * 1000, deadline - clock.now()),
      outputBytesMax,
      environment: {
        SENDER: delivery.envelope.sender,
        RECIPIENT: delivery.recipient.address,
        USER: delivery.user,
      },
    });
    const ok = end?.ok === true;
    this.#log('run', line, { program: wordsOf(command), outcome: ok ? 'done' : 'failed' });
    return { ok: true, exitCode: ok ? 0 : 1, ...(ok && end && { output: end.output }) };
  }

  #refuse(command: Command, line: number): StepOutcome {
    this.#log('program-refused', line, { program: wordsOf(command) });
    return { ok: false, exitCode: 127 };
  }

  /** `formail -D`: it ends with 0 where the Message-ID came before. What this very message set, in a run that is repeated, is not before. */
  async #duplicate(id: string, line: number): Promise<StepOutcome> {
    const { input, context } = this.#planning;
    const key = `duplicate/${input.user}/${createHash('sha256').update(id).digest('base64url')}`;
    const holder = id === '' ? undefined : await context.state.get(key);
    const seen = holder !== undefined && !String(holder).startsWith(`${input.id}/`);
    this.#log('duplicate', line, { outcome: seen ? 'seen before' : 'new' });
    if (id !== '' && !seen) {
      const seconds = Math.round(context.options.duplicateDays * daySeconds);
      this.#remembered.push({ type: 'remember', key, seconds });
    }
    return { ok: true, exitCode: seen ? 0 : 1 };
  }
}

/** sysexits.h: 75 is a temporary failure, 67 an unknown user. */
function refusalOf(exitCode: number): Action {
  if (exitCode === 75) return { type: 'refuse', code: 450, enhanced: '4.2.0', text: 'try again later' };
  if (exitCode === 67) return { type: 'refuse', code: 550, enhanced: '5.1.1', text: 'no such user here' };
  return { type: 'refuse', code: 550, enhanced: '5.7.1', text: 'refused by the recipient' };
}

/** Of a command that looks into formail's cache: the Message-ID, '' where the mail has none. */
function messageIdOf(command: Command, input: Uint8Array): string | undefined {
  const argv = command.kind === 'program' ? command.argv : [];
  if (argv[0] !== 'formail' || argv[1] !== '-D' || argv.length !== 4) return undefined;
  const header = Buffer.from(input).toString('latin1').split('\n\n', 1)[0]!;
  return /^message-id:[ \t]*(.*(?:\n[ \t].*)*)/im.exec(header)?.[1]?.trim() ?? '';
}

function wordsOf(command: Command): string {
  return command.kind === 'shell' ? command.line : command.argv.join(' ');
}

function withDomain(address: string, user: string): string {
  return address.includes('@') ? address : `${address}@${user.slice(user.lastIndexOf('@') + 1)}`;
}
