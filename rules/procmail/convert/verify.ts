/** An rcfile and the Sieve script that it became, beside one another on real mail: where they would part. */
import { compileSieve, type Program, runSieve, type SieveAction } from '../../sieve/index.ts';
import { type MailRoot, mailboxName } from '../mailbox-names.ts';
import { type Answer, type Deed, rehearseProcmail } from '../rehearse.ts';
import type { StepOutcome } from '../steps.ts';
import type { ConvertOptions } from './convert.ts';
import { mailRootOf } from './mail-root.ts';
import type { Conversion, RecipeReport } from './report.ts';

/** A message as it lies in a folder. */
export interface StoredMail {
  /** LF or CRLF line ends, without a From_ line. */
  readonly octets: Uint8Array;
  /** Reverse-path; '' of a bounce; undefined where it is not known. */
  readonly sender: string | undefined;
}

export interface Comparison {
  readonly same: boolean;
  /** What each would do, sorted. */
  readonly procmail: readonly string[];
  readonly sieve: readonly string[];
  /** Recipes that it met in procmail, and that are kept as comments. */
  readonly met: readonly RecipeReport[];
}

export class Verification {
  readonly #source: string;
  readonly #options: ConvertOptions;
  readonly #root: MailRoot;
  readonly #program: Program;
  readonly #kept: ReadonlyMap<string, RecipeReport>;
  /** Message-IDs and keys of the mails before: both sides remember what they saw. */
  readonly #ids = new Set<string>();
  readonly #keys = new Set<string>();

  /** @throws Error where the script does not compile, which a conversion's always does */
  constructor(source: string, options: ConvertOptions, { script, recipes }: Conversion) {
    const { program, errors } = compileSieve(script);
    if (program === undefined) throw new Error(`the script does not compile: ${errors[0]?.message}`);
    this.#source = source;
    this.#options = options;
    this.#root = mailRootOf(source, options);
    this.#program = program;
    this.#kept = new Map(
      recipes.filter(({ converted }) => !converted).map((each) => [`${each.file}:${each.line}`, each]),
    );
  }

  async compare(mail: StoredMail): Promise<Comparison> {
    const text = Buffer.from(mail.octets).toString('latin1').replaceAll('\r\n', '\n');
    const { deeds, met } = this.#rehearse(text, mail.sender);
    const procmail = comparable(deeds.flatMap((deed) => this.#wordsOf(deed)));
    const sieve = comparable(await this.#run(text, mail.sender));
    return { same: procmail.join('\n') === sieve.join('\n'), procmail, sieve, met };
  }

  #rehearse(text: string, sender: string | undefined): { deeds: readonly Deed[]; met: RecipeReport[] } {
    const fromLine =
      sender === undefined ? '' : `From ${sender === '' ? 'MAILER-DAEMON' : sender}  ${fromLineDate}\n`;
    const { name, variables, read } = this.#options;
    const { deeds, recipes } = rehearseProcmail(
      {
        octets: Buffer.from(fromLine + text, 'latin1'),
        rcfiles: [name],
        variables,
        ...{ positional: [], host: variables.HOST ?? '', processId: process.pid },
      },
      (path) => (path === name ? this.#source : read(path)),
      this.#answer(text),
    );
    const met = recipes.flatMap(({ rcfile, line, matched }) => {
      const kept = matched ? this.#kept.get(`${rcfile}:${line}`) : undefined;
      return kept === undefined ? [] : [kept];
    });
    return { deeds, met };
  }

  /** formail's cache of Message-IDs, which Sieve has as `duplicate`. */
  #answer(text: string): Answer {
    return (step): StepOutcome | undefined => {
      if (step.type !== 'program' || step.output !== 'none') return undefined;
      const words = step.command.kind === 'program' ? step.command.argv : step.command.line.split(/\s+/);
      if (words[0] !== 'formail' || words[1] !== '-D') return undefined;
      const id = /^message-id:[ \t]*(.*(?:\n[ \t].*)*)/im.exec(text.split('\n\n', 1)[0]!)?.[1]?.trim();
      const seen = id !== undefined && id !== '' && this.#ids.has(id);
      if (id !== undefined && id !== '') this.#ids.add(id);
      return { ok: true, exitCode: seen ? 0 : 1 };
    };
  }

  #wordsOf({ kind, text, folders = [], directory = '/' }: Deed): string[] {
    switch (kind) {
      case 'store':
        return folders.flatMap((folder) => {
          const named = mailboxName(folder, directory, this.#root);
          if (named.kind === 'nowhere') return [];
          if (named.kind === 'inbox') return ['keep'];
          return [named.kind === 'mailbox' ? `fileinto ${utf8(named.name)}` : `store in ${folder}`];
        });
      case 'forward':
        return text.split(/[ ,]+/).map((address) => `redirect ${address}`);
      case 'program':
        return /^formail\s+-D\s/.test(text) ? [] : [`run ${text}`];
      case 'print':
        return ['print'];
      case 'filter':
      case 'capture':
      case 'condition':
      case 'backquotes':
        return [];
    }
  }

  async #run(text: string, sender: string | undefined): Promise<string[]> {
    const octets = Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');
    const { separator = '/' } = this.#options;
    const { actions, error, seen } = await runSieve(this.#program, octets, {
      now: Date.now(),
      envelope: sender === undefined ? {} : { from: sender },
      settings: { folderSeparator: separator },
      mailboxExists: () => true,
      duplicateSeen: (key) => this.#keys.has(key),
    });
    for (const { key } of seen) this.#keys.add(key);
    const words = actions.flatMap((action) => wordsOfAction(action, separator));
    return error === undefined ? words : [...words, `fails in line ${error.line}: ${error.message}`];
  }
}

const fromLineDate = 'Sat Nov 21 09:00:00 2026';

function wordsOfAction(action: SieveAction, separator: string): string[] {
  if (action.type === 'keep') return ['keep'];
  if (action.type === 'discard') return [];
  if (action.type === 'fileinto') return [`fileinto ${action.mailbox.split(separator).join('/')}`];
  return action.type === 'redirect' ? [`redirect ${action.address}`] : [action.type];
}

/** Twice into one folder is once in Sieve. RFC 5228 section 2.10.3. */
function comparable(words: readonly string[]): string[] {
  const all = [...new Set(words)].sort();
  return all.length === 0 ? ['discard'] : all;
}

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
