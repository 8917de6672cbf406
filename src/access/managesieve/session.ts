/** One client of ManageSieve, from greeting to goodbye. RFC 5804. */
import { describeError, OperationalError } from '../../../core/base/errors.ts';
import { scriptLimits } from '../../../core/base/limits/rules.ts';
import type { ListenerConfig } from '../../../core/config/config.ts';
import { listFolders } from '../../mailbox/list.ts';
import { mailboxPath } from '../../mailbox/locate.ts';
import { scriptPlace } from '../../scripts/place.ts';
import { ScriptStore } from '../../scripts/script-store.ts';
import type { User } from '../../users/users.ts';
import { ConnectionEnded } from '../input.ts';
import type { Login } from '../login.ts';
import type { AccessHouse } from '../protocol.ts';
import type { Wire } from '../wire.ts';
import { type Command, commands } from './commands.ts';
import { type Argument, CommandParser, type Parsed } from './parse.ts';
import { formatResponse, type Response } from './write.ts';

/** What a logged-in client works with. */
export interface Owner {
  readonly user: User;
  readonly scripts: ScriptStore;
  /** Those that fileinto can name without a warning. */
  folders(): Promise<string[]>;
}

export class Session {
  readonly wire: Wire;
  readonly house: AccessHouse;
  readonly listener: ListenerConfig;
  login: Login;
  owner: Owner | undefined;
  readonly #parser = new CommandParser();

  constructor(wire: Wire, house: AccessHouse, listener: ListenerConfig) {
    this.wire = wire;
    this.house = house;
    this.listener = listener;
    this.login = house.logins.begin(wire, listener);
  }

  /** Until the client logs out, is sent away, or goes. @throws ConnectionEnded */
  async serve(greeting: string): Promise<void> {
    this.wire.write(greeting);
    for (let errors = 0; ; ) {
      const parsed = await this.#next(() => this.wire.command(scriptLimits.lineBytesMax));
      const response = await this.#answer(parsed);
      if (response !== undefined) this.wire.write(formatResponse(response));
      if (response?.status === 'BYE' || (parsed.kind === 'command' && parsed.name === 'LOGOUT')) return;
      errors = response?.status === 'NO' && parsed.kind !== 'command' ? errors + 1 : 0;
      if (errors < this.house.config().limits.errorsPerSessionMax) continue;
      this.wire.write(formatResponse({ status: 'BYE', text: 'too many errors' }));
      return;
    }
  }

  /** The client's answer to a challenge: a string of base64, `*` to cancel. @throws ConnectionEnded */
  async response(): Promise<Buffer | undefined> {
    const parsed = await this.#next(() => this.wire.line(scriptLimits.lineBytesMax));
    return parsed.kind === 'string' ? parsed.bytes : undefined;
  }

  /** Logged in, with the time that a person takes between two edits. RFC 5804 section 1.2: at least 30 minutes. */
  enter(user: User): void {
    const { sieve, format, path } = this.house.config().mailbox;
    this.owner = {
      user,
      scripts: new ScriptStore(scriptPlace(sieve, user.address), sieve),
      folders: () => listFolders({ format, path: mailboxPath(path, user.address) }),
    };
    this.wire.idleTimeoutMs = scriptLimits.idleTimeoutMs;
  }

  async #next(line: () => Promise<Buffer>): Promise<Parsed> {
    for (let read = line; ; read = () => this.wire.line(scriptLimits.lineBytesMax)) {
      const parsed = this.#parser.line(await read());
      if (parsed.kind !== 'literal') return parsed;
      this.#parser.literal(await this.#literal(parsed.length));
    }
  }

  /** What cannot be stored is read to its end all the same, one octet more than may be kept: then the client hears why. */
  async #literal(length: number): Promise<Buffer> {
    const { scriptBytesMax, literalBeforeLoginBytesMax, literalBytesMax } = scriptLimits;
    const kept = this.owner === undefined ? literalBeforeLoginBytesMax : scriptBytesMax;
    if (length <= kept) return this.wire.octets(length);
    if (this.owner === undefined || length > literalBytesMax) {
      this.wire.write(formatResponse({ status: 'BYE', text: `a literal of ${length} octets is too large` }));
      throw new ConnectionEnded('lost');
    }
    for await (const _ of this.wire.stream(length));
    return Buffer.alloc(kept + 1);
  }

  /** Undefined where the command has answered by itself. */
  async #answer(parsed: Parsed): Promise<Response | undefined> {
    if (parsed.kind !== 'command') {
      return { status: 'NO', text: parsed.kind === 'syntax' ? parsed.problem : 'no command' };
    }
    const command = commands[parsed.name];
    if (command === undefined) return { status: 'NO', text: 'unknown command' };
    if (command.needsLogin && this.owner === undefined) return { status: 'NO', text: 'log in first' };
    if (!fits(command, parsed.arguments))
      return { status: 'NO', text: `usage: ${parsed.name} ${command.usage}`.trim() };
    try {
      return await command.run(this, parsed.arguments);
    } catch (error) {
      return this.#failed(parsed.name, error);
    }
  }

  #failed(name: string, error: unknown): Response {
    if (error instanceof ConnectionEnded) throw error;
    if (error instanceof OperationalError) {
      const code = codeOf(error);
      return { status: 'NO', ...(code && { code }), text: error.clientText };
    }
    const { id } = this.wire.peer;
    this.house.log.error('managesieve-failed', { id, command: name, error: describeError(error) });
    return { status: 'NO', code: 'TRYLATER', text: 'the server could not do that now' };
  }
}

/** RFC 5804 section 1.3. */
function codeOf({ code, facts }: OperationalError): string | undefined {
  switch (code) {
    case 'script-missing':
      return 'NONEXISTENT';
    case 'script-exists':
      return 'ALREADYEXISTS';
    case 'script-active':
      return 'ACTIVE';
    case 'script-quota':
      return facts.quota ? `QUOTA/${facts.quota}` : 'QUOTA';
    default:
      return undefined;
  }
}

function fits({ parameters, optional = 0 }: Command, given: readonly Argument[]): boolean {
  const least = parameters.length - optional;
  return (
    given.length >= least &&
    given.length <= parameters.length &&
    given.every(({ kind }, index) => kind === parameters[index])
  );
}
