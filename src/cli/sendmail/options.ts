/** The options of sendmail as programs have given them for forty years: one letter, the value behind it or in the next word. */
import { CommandError, exitCodes } from '../exit-codes.ts';

export interface SendmailOptions {
  /** `m` send, `s` SMTP on standard input, `p` show the queue, `i` aliases, `v` nothing is sent, `q` try the queue again. */
  readonly mode: 'm' | 's' | 'p' | 'i' | 'v' | 'q';
  /** From -f or -r; '' for `<>`. */
  readonly sender?: string;
  readonly fullName?: string;
  /** -t: recipients from To, Cc and Bcc as well. */
  readonly fromHeader: boolean;
  /** A line with a dot alone ends the message, but for -i. */
  readonly dotEnds: boolean;
  readonly notify?: readonly ('never' | 'success' | 'failure' | 'delay')[];
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  readonly body?: '7bit' | '8bitmime';
  readonly config?: string;
  readonly verbose: boolean;
  readonly recipients: readonly string[];
}

/** Options that take a value, in the same word or the next. */
const withValue = new Set('AbBCDdfFhLNoOpqrRVX');
/** Of these only in the same word. */
const withinWord = new Set('dbqoe');

/** @throws CommandError for what is refused */
export function readOptions(argv: readonly string[]): SendmailOptions {
  const found = new Map<string, string>();
  const flags = new Set<string>();
  const recipients: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    if (word === '--') {
      recipients.push(...argv.slice(index + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      recipients.push(word);
      continue;
    }
    const letter = word[1]!;
    const rest = word.slice(2);
    if (!withValue.has(letter)) {
      // Flags may stand together: -ti.
      for (const flag of word.slice(1)) flags.add(flag);
    } else if (letter === 'o') {
      if (rest.startsWith('i')) flags.add('i');
      else if (rest === 'dq' || rest === '') continue;
    } else if (rest !== '' || withinWord.has(letter)) found.set(letter, rest);
    else found.set(letter, argv[++index] ?? '');
  }
  const sender = found.get('f') ?? found.get('r');
  const fullName = found.get('F');
  const envid = found.get('V');
  const config = found.get('C');
  return {
    mode: modeOf(found),
    ...(sender === undefined ? {} : { sender: sender.replace(/^<(.*)>$/, '$1') }),
    ...(fullName === undefined ? {} : { fullName }),
    fromHeader: flags.has('t'),
    dotEnds: !flags.has('i'),
    ...notifyOf(found.get('N')),
    ...retOf(found.get('R')),
    ...(envid === undefined ? {} : { envid }),
    ...bodyOf(found.get('B')),
    ...(config === undefined ? {} : { config }),
    verbose: flags.has('v'),
    recipients,
  };
}

function modeOf(found: ReadonlyMap<string, string>): SendmailOptions['mode'] {
  if (found.has('q')) return 'q';
  const mode = found.get('b') ?? 'm';
  if (mode === 'm' || mode === 's' || mode === 'p' || mode === 'i' || mode === 'v') return mode;
  const why = mode === 'd' || mode === 'D' ? 'run the server with "mailfilter serve"' : '';
  throw new CommandError(exitCodes.usage, `sendmail: -b${mode} is not supported`, why);
}

function notifyOf(text: string | undefined): Pick<SendmailOptions, 'notify'> {
  if (text === undefined) return {};
  const words = text.toLowerCase().split(',');
  const known = ['never', 'success', 'failure', 'delay'] as const;
  const notify = known.filter((word) => words.includes(word));
  const alone = notify.includes('never') && notify.length > 1;
  if (notify.length !== words.length || alone)
    throw wrong('-N', text, 'never, or some of success,failure,delay');
  return { notify };
}

function retOf(text: string | undefined): Pick<SendmailOptions, 'ret'> {
  if (text === undefined) return {};
  const word = text.toLowerCase();
  if (word === 'full' || word === 'hdrs') return { ret: word };
  throw wrong('-R', text, 'full or hdrs');
}

function bodyOf(text: string | undefined): Pick<SendmailOptions, 'body'> {
  const word = text?.toLowerCase();
  if (word === '7bit' || word === '8bitmime') return { body: word };
  if (word === undefined) return {};
  throw wrong('-B', text ?? '', '7BIT or 8BITMIME');
}

function wrong(option: string, found: string, expected: string): CommandError {
  return new CommandError(exitCodes.usage, `sendmail: ${option} ${found}: expected ${expected}`);
}
