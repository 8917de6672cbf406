/** Limits of rules: patterns, rule lists, Sieve, procmail, and the scripts of users. */
import { KiB, MiB } from './units.ts';

/** What a regular expression of an operator or user may be, so that it runs in bounded time on any text. */
export const patternLimits = {
  /** Far above any pattern written by hand. */
  sourceCharsMax: 10_000,
  /** Groups within groups: the parser and the judge recurse that deep. */
  nestingMax: 100,
  /** RE2's own limit of a counted repeat. */
  repeatMax: 1000,
  /** Characters with repeats written out: RE2 takes about 10 ns for each of them and each character of text at worst. */
  sizeMax: 1000,
  /** Of a backtracking match, about 1 ns each: half a second on 1 MiB at the very worst. */
  stepsPerCharacterMax: 500,
};

/** What a list of JSON rules may be and do to one message. */
export const ruleLimits = {
  /** Far above a list that a person keeps. */
  rulesMax: 1000,
  /** `all`, `any` and `not` within each other: the compiler recurses that deep. */
  conditionDepthMax: 20,
  /** Characters one placeholder may put into a value. */
  substitutionCharsMax: 500,
  /** Characters of one header value that a condition looks at; longer values are looked at this far. */
  headerValueCharsMax: 64 * KiB,
  /** Values of one subject that a condition looks at: fields of a name, recipients, attachments. */
  valuesMax: 5000,
};

/** Scripts that users keep. */
export const scriptLimits = {
  /** RFC 5804 section 1.6 asks for 128 characters; a file name holds 255 octets with its suffix. */
  nameBytesMax: 240,
  /** One script; the largest that people write have some thousand rules. */
  scriptBytesMax: 1 * MiB,
  /** What is noted for the user of failing scripts; a longer log begins anew. */
  userLogBytesMax: 64 * KiB,
  noteCharactersMax: 2000,
  /** Active scripts whose text is remembered between messages. */
  rememberedMax: 2000,
  /** The same in each plugin thread, where they are kept compiled: about seventy octets for each character. */
  threadScriptsMax: 1000,
  threadCharactersMax: 1 * MiB,
  /** Longer strings are sent as literals. RFC 5804 section 4. */
  quotedBytesMax: 1024,
  /** A line of ManageSieve with its quoted strings: five of the longest, twice for escapes. */
  lineBytesMax: 16 * KiB,
  /** A literal before login: a SASL response. */
  literalBeforeLoginBytesMax: 16 * KiB,
  /** A literal that is too large to be stored is read and dropped up to here, so that the client hears why. */
  literalBytesMax: 64 * MiB,
  /** RFC 5804 section 1.2: at least 30 minutes once logged in. */
  idleTimeoutMs: 30 * 60_000,
  /** Arguments of one command; two are the most that any takes. */
  argumentsMax: 16,
} as const;

/** procmail's rcfiles. */
export const procmailLimits = {
  /** A mail is held in memory, and a filter's output beside it. */
  mailBytesMax: 256 * MiB,
  /** A line of an rcfile, before and after expansion; procmail's own LINEBUF is 2048 unless it is set. */
  lineMax: 128 * KiB,
  /** Blocks within blocks, and files that include files. */
  blockDepthMax: 100,
  nestingMax: 200,
  /** Braces and quotes of expansions within one another: `${a:-${b:-c}}`. */
  braceDepthMax: 50,
  /** Recipes and assignments that one mail runs through: files may include one another for ever. */
  itemsMax: 100_000,
  /** States of one expression, groups within groups, and sets of states that are remembered. */
  patternStatesMax: 50_000,
  patternDepthMax: 200,
  patternStepsMax: 2000,
  /** rcfiles that a thread keeps read, and characters of one of them: about 16 MiB with what they become. */
  rememberedRcfilesMax: 50,
  rememberedCharactersMax: 64 * KiB,
  /** Expressions that a thread keeps compiled, and states of one of them: about 20 MiB. */
  rememberedPatternsMax: 2000,
  rememberedStatesMax: 200,
  /** Of a text that is held in lower case beside itself, to look for words in it. */
  loweredOctetsMax: 1 * MiB,
  /** Recipes that a trace tells of. */
  tracedRecipesMax: 1000,
  /** Of files that an rcfile includes, when it is converted: what is inlined twice counts twice. */
  convertedCharactersMax: 4 * MiB,
} as const;

/** formail: it holds a header, or a line of the body, never a whole mailbox. */
export const formailLimits = {
  /** A header with all of its fields, or one line: far above what any mail has. */
  heldBytesMax: 64 * MiB,
  /** Of an idcache: it is read whole. */
  cacheBytesMax: 64 * MiB,
  /** Programs that run beside one another where -n names no number. */
  programsMax: 16,
} as const;

/** maildrop's filters. */
export const maildropLimits = {
  /** A mail is held in memory, and a filter's output beside it. */
  mailBytesMax: 256 * MiB,
  /** A filter file; the largest that people write have some thousand lines. */
  filterBytesMax: 4 * MiB,
  /** Blocks and parentheses within one another: parser and runner recurse that deep. */
  nestingMax: 150,
  /** Files that include files; maildrop's own limit. */
  includeDepthMax: 20,
  /** Statements and expressions that one mail runs through: loops may have no end. */
  stepsMax: 1_000_000,
  /** Octets of one value. */
  valueBytesMax: 1 * MiB,
  /** Octets of all variables together. */
  valuesBytesMax: 64 * MiB,
  /** Octets of a program's output between backquotes. */
  outputBytesMax: 1 * MiB,
  /** Matches that one foreach runs through. */
  matchesMax: 100_000,
  /** Compiled patterns that are remembered. */
  patternsMax: 1000,
  /** Characters of decoded fields and texts that are remembered from one pattern to the next: the mail of nearly everybody. */
  rememberedCharactersMax: 32 * MiB,
  /** The whole of it, as maildrop's watchdog has it. */
  runMs: 300_000,
} as const;

/** What a Sieve script may be and do. RFC 5228 section 2.10.5 leaves limits to the implementation. */
export const sieveLimits = {
  /** Pigeonhole's default as well; far above any script written by hand. */
  scriptBytesMax: 1 * MiB,
  /** Blocks, and tests, within each other; RFC 5228 section 2.10.5 asks for 15 at least. */
  nestingMax: 32,
  /** Arguments of one command or test; RFC 5228 has none with more than ten. */
  argumentsMax: 32,
  /** Strings of one list. */
  listItemsMax: 10_000,
  /** Errors that one compilation lists. */
  problemsMax: 100,
  /** Actions of one run, redirects included. */
  actionsMax: 32,
  /** Each multiplies mail: Pigeonhole allows four. */
  redirectsMax: 4,
  /** RFC 5435 section 8: notifications must not become a flood. */
  notifiesMax: 10,
  /** Of one notification: the core sends no reply to more. */
  notifyRecipientsMax: 100,
  /** Header fields added and deleted in one run: half of what the core takes of one answer. */
  messageEditsMax: 1000,
  /** RFC 5229 section 3 asks for 128 variables; section 3.1 for values of 4,000 octets at least. */
  variablesMax: 255,
  variableNameCharsMax: 64,
  variableBytesMax: 4096,
  /** `${1}` to `${n}`; RFC 5229 section 3.2 asks for 9. */
  matchValuesMax: 32,
  /** RFC 6609 section 3.2: scripts within scripts, and all of them in one run. */
  includeDepthMax: 10,
  includesMax: 255,
  /** Loops within loops. RFC 5703 section 3 asks for four. */
  loopDepthMax: 8,
  /** Tests and commands of one run, parts of a loop counted each time. */
  stepsMax: 1_000_000,
  /** Wall time of one run, checked between steps; what the pipeline's own deadline would cut less politely. */
  runMs: 30_000,
  /** Question to the environment in one run: folders, lists, seen keys. */
  questionsMax: 500,
  /** Size of a header value that editheader writes. */
  headerValueBytesMax: 2048,
  /** Decoded text that body tests and extracttext look at, in one message. */
  bodyTextBytesMax: 4 * MiB,
  /** MIME parts and their nesting that are followed. */
  mimePartsMax: 1000,
  mimeDepthMax: 32,
  /** What a key of duplicate or a handle of vacation may be before it is hashed. */
  keyBytesMax: 4096,
  /** For programs (vnd.dovecot.pipe, filter, execute): the least that Pigeonhole's specification asks for. */
  programArgumentsMax: 16,
  programArgumentBytesMax: 1024,
  /** Programs that one run waits for: each is a process. */
  programRunsMax: 10,
  /** Trace lines of one run; the last says how many are missing. */
  traceLinesMax: 5000,
  /** Compiled scripts kept by content, and octets of their sources. */
  cachedScriptsMax: 500,
  cachedScriptBytesMax: 16 * MiB,
} as const;
