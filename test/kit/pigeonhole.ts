/** Pigeonhole's sieve-test as an oracle: what it would do with a message. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome, SieveAction } from '../../rules/sieve/index.ts';

export interface OracleResult {
  /** Actions in their order as `store FOLDER flags`, `redirect address`, `discard`, `reject`, `vacation`, `notify`. */
  readonly actions: readonly string[];
  /** `compile`, `run`, or none. */
  readonly failed?: 'compile' | 'run';
  readonly output: string;
}

const config = `
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
ssl = no
log_path = /dev/stderr
postmaster_address = postmaster@example.org
plugin {
  sieve_extensions = +editheader +mboxmetadata +servermetadata +vnd.dovecot.debug +vacation-seconds +spamtest +virustest +imapflags +notify +vnd.dovecot.duplicate
  sieve_max_actions = 100
}
`;

/** A folder of its own for each, removed by close(). */
export class PigeonholeOracle {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sieve-oracle-'));
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
    writeFileSync(join(this.#folder, 'dovecot.conf'), `${config}mail_home = ${this.#folder}\n`);
  }

  run(
    script: string,
    message: string | Uint8Array,
    envelope = { from: 'a@x.example', to: 'b@y.example' },
  ): OracleResult {
    const scriptFile = join(this.#folder, 'script.sieve');
    const messageFile = join(this.#folder, 'message.eml');
    writeFileSync(scriptFile, script);
    writeFileSync(messageFile, message);
    // Run as root it gives its privileges up.
    chmodSync(this.#folder, 0o777);
    const mail = join(this.#folder, 'mail');
    const { stdout, stderr } = spawnSync(
      this.#program,
      [
        '-c',
        join(this.#folder, 'dovecot.conf'),
        '-l',
        `mbox:${mail}:INBOX=${mail}.inbox`,
        '-f',
        envelope.from,
        '-r',
        envelope.to,
        scriptFile,
        messageFile,
      ],
      { encoding: 'utf8', timeout: 20_000, env: { PATH: process.env.PATH, TZ: 'UTC' } },
    );
    const output = `${stdout}${stderr}`;
    if (/failed to compile/.test(output)) return { actions: [], failed: 'compile', output };
    const actions = readActions(output);
    if (/final result: (?:failed|temporary)/.test(output))
      return { actions: ['store INBOX'], failed: 'run', output };
    return { actions, output };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function readActions(output: string): string[] {
  const actions: string[] = [];
  for (const line of output.split('\n')) {
    const stored = /^ \* store message in folder: (.*)$/.exec(line);
    const flags = /^ {8}\+ add IMAP flags: (.*)$/.exec(line);
    const redirected = /^ \* redirect message to: <(.*)>$/.exec(line);
    if (stored) actions.push(`store ${stored[1]}`);
    else if (flags) actions.push(withFlags(actions.pop()!, flags[1]!.trim().split(' ')));
    else if (redirected) actions.push(`redirect ${redirected[1]}`);
    else if (/^ \* reject/.test(line)) actions.push('reject');
    else if (/^ \* send vacation/.test(line)) actions.push('vacation');
    else if (/^ \* send (?:\(deprecated\) )?notification/.test(line)) actions.push('notify');
  }
  return actions;
}

/** Flags have no order, and system flags no case. */
function withFlags(action: string, flags: readonly string[]): string {
  const same = flags.map((flag) => (flag.startsWith('\\') ? flag.toLowerCase() : flag)).sort();
  return [action, ...same].join(' ');
}

/** Our actions in the same words. */
export function wordsOf(outcome: Pick<Outcome, 'actions'>): string[] {
  return outcome.actions.filter(({ type }) => type !== 'discard').map(words);
}

function words(action: SieveAction): string {
  switch (action.type) {
    case 'keep':
      return withFlags('store INBOX', action.flags);
    case 'fileinto':
      return withFlags(`store ${action.mailbox}`, action.flags);
    case 'redirect':
      return `redirect ${action.address}`;
    default:
      return action.type;
  }
}
