/** procmail's own command line: procmail(1). */
import { DeliveryError, deliveryCodes } from '../delivery-error.ts';

export interface ProcmailArguments {
  /** General filter: one rcfile, then arguments. */
  readonly general: boolean;
  /** Keep the environment. */
  readonly preserve: boolean;
  /** Failures are temporary. */
  readonly softly: boolean;
  /** Replace a From_ line that came with the mail. */
  readonly override: boolean;
  /** Trust no Content-Length. */
  readonly berkeley: boolean;
  readonly version: boolean;
  /** Of the From_ line; `-` renews its date alone. */
  readonly sender: string | undefined;
  /** `$1`, `$2` ... */
  readonly positional: readonly string[];
  readonly recipients: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly rcfiles: readonly string[];
}

/** @throws DeliveryError EX_USAGE */
export function readProcmailArguments(argv: readonly string[]): ProcmailArguments {
  const letters = new Set<string>();
  const values: Record<string, string[]> = { f: [], a: [] };
  let at = 0;
  for (; at < argv.length && /^-./.test(argv[at]!); at++) {
    const word = argv[at]!;
    if (word === '--') {
      at += 1;
      break;
    }
    for (let index = 1; index < word.length; index++) {
      const letter = word[index] === 'r' ? 'f' : word[index]!;
      if (letter === 'f' || letter === 'a') {
        const attached = word.slice(index + 1);
        if (attached === '') at += 1;
        const value = attached === '' ? argv[at] : attached;
        if (value === undefined) throw usage(`-${letter} needs a value`);
        values[letter]!.push(value);
        break;
      }
      if (!'ptoYdmv'.includes(letter)) throw usage(`unknown option -${letter}`);
      letters.add(letter);
    }
    if (letters.has('d')) {
      at += 1;
      break;
    }
  }
  return arrange(letters, values, argv.slice(at));
}

function arrange(
  letters: ReadonlySet<string>,
  values: Readonly<Record<string, string[]>>,
  rest: readonly string[],
): ProcmailArguments {
  const explicit = letters.has('d');
  const general = letters.has('m');
  if (explicit && (general || letters.has('p'))) throw usage('-d goes with neither -m nor -p');
  if (explicit && rest.length === 0) throw usage('-d needs a recipient');
  const variables: Record<string, string> = {};
  const rcfiles: string[] = [];
  const after: string[] = [];
  for (const word of explicit ? [] : rest) {
    const sign = word.indexOf('=');
    if (general && rcfiles.length > 0) after.push(word);
    else if (sign > 0) variables[word.slice(0, sign)] = word.slice(sign + 1);
    else rcfiles.push(word);
  }
  if (general && rcfiles.length === 0) throw usage('-m needs an rcfile');
  return {
    general,
    preserve: letters.has('p'),
    softly: letters.has('t'),
    override: letters.has('o'),
    berkeley: letters.has('Y'),
    version: letters.has('v'),
    sender: values.f!.at(-1),
    positional: general ? after : values.a!,
    recipients: explicit ? rest : [],
    variables,
    rcfiles,
  };
}

function usage(message: string): DeliveryError {
  return new DeliveryError(deliveryCodes.usage, message);
}
