/** What a recipe does, as commands of Sieve. procmailrc(5), "Recipe action line". */
import { expandWords } from '../expand.ts';
import { type MailRoot, mailboxName } from '../mailbox-names.ts';
import type { Recipe } from '../rcfile.ts';
import { CannotConvert } from './cannot-convert.ts';
import { type ConversionScope, expanded } from './scope.ts';
import { hasPlaceholder, quotedText, type Test } from './sieve-text.ts';

export interface Commands {
  readonly lines: readonly string[];
  readonly requires: readonly string[];
  readonly notes: readonly string[];
  /** Holds where procmail would say that the action went well; absent: it always does. */
  readonly test?: Test;
}

export interface ActionPlace {
  readonly scope: ConversionScope;
  /** Undefined where it depends on the mail. */
  readonly directory: string | undefined;
  readonly root: MailRoot;
  /** Between the levels of folder names in the script. */
  readonly separator: string;
}

/** Pigeonhole allows as many redirects of one message. */
const redirectsMax = 4;

/** @param goesOn the mail is not taken by it: `c`  @throws CannotConvert */
export function actionCommands(recipe: Recipe, goesOn: boolean, place: ActionPlace): Commands {
  const { action, flags } = recipe;
  switch (action.kind) {
    case 'folder':
      if (flags.has('h') !== flags.has('b'))
        throw new CannotConvert(`it stores the ${flags.has('h') ? 'header' : 'body'} alone`);
      return storeCommands(action.text, goesOn, place);
    case 'forward':
      if (flags.has('h') !== flags.has('b'))
        throw new CannotConvert(`it sends the ${flags.has('h') ? 'header' : 'body'} alone`);
      return forwardCommands(action.text, goesOn, place.scope);
    case 'pipe':
      return programCommands(recipe, action.text, action.variable);
    case 'block':
      throw new Error('a block is converted by what stands in it');
  }
}

function storeCommands(text: string, goesOn: boolean, place: ActionPlace): Commands {
  const folders = expanded(expandWords(text, place.scope));
  if (folders.length === 0) throw new CannotConvert('it names no folder');
  if (folders.length > 1 && !folders.every((folder) => /\/\.?$/.test(folder)))
    throw new CannotConvert('it names several folders that may be files');
  const stores = folders.map((folder, at) => storeCommand(folder, goesOn || at < folders.length - 1, place));
  return {
    lines: stores.flatMap(({ lines }) => lines),
    requires: stores.flatMap(({ requires }) => requires),
    notes: stores.flatMap(({ notes }) => notes),
  };
}

function storeCommand(folder: string, goesOn: boolean, place: ActionPlace): Commands {
  const { directory, root, separator } = place;
  if (directory === undefined && !folder.startsWith('/'))
    throw new CannotConvert('MAILDIR depends on the mail');
  assertPlain(folder);
  const named = mailboxName(folder, directory ?? '/', root);
  switch (named.kind) {
    case 'inbox':
      return { lines: ['keep;'], requires: [], notes: [] };
    case 'nowhere':
      return { lines: goesOn ? [] : ['discard;'], requires: [], notes: [] };
    case 'none':
      throw new CannotConvert(named.reason);
    case 'mailbox': {
      const name = named.name.split('/').join(separator);
      return {
        lines: [`fileinto${goesOn ? ' :copy' : ''} :create ${quotedText(name)};`],
        requires: [
          'fileinto',
          'mailbox',
          ...(goesOn ? ['copy'] : []),
          ...(hasPlaceholder(name) ? ['variables'] : []),
        ],
        notes: hasPlaceholder(name)
          ? ['white space, dots and slashes in the variable make other folders of it']
          : [],
      };
    }
  }
}

/** A variable may be a part of a folder's name, not the path to it. */
function assertPlain(folder: string): void {
  const [, name] = /^\uE000([^\uE001]*)\uE001/.exec(folder) ?? [];
  if (name !== undefined && name !== 'match')
    throw new CannotConvert('the folder lies in a variable that depends on the mail');
}

function forwardCommands(text: string, goesOn: boolean, scope: ConversionScope): Commands {
  const addresses = expanded(expandWords(text, scope))
    .flatMap((word) => word.split(','))
    .filter((word) => word !== '');
  if (addresses.length === 0) throw new CannotConvert('it names nobody to send to');
  if (addresses.length > redirectsMax)
    throw new CannotConvert(`it sends to more than ${redirectsMax} addresses`);
  for (const address of addresses) {
    if (hasPlaceholder(address)) throw new CannotConvert('it sends to a variable that depends on the mail');
    if (!/^[^\s@<>"(),:;[\]\\-][^\s@<>"(),:;[\]\\]*@[^\s@<>"(),:;[\]\\]+$/.test(address))
      throw new CannotConvert(`${address} is no address with a domain`);
  }
  const copies = addresses.map((_, at) => goesOn || at < addresses.length - 1);
  return {
    lines: addresses.map((address, at) => `redirect${copies[at] ? ' :copy' : ''} ${quotedText(address)};`),
    requires: copies.includes(true) ? ['copy'] : [],
    notes: [],
  };
}

/** The cache of Message-IDs, as procmailex(5) has it. */
const duplicates = /^formail\s+-D\s+\d+\s+[\w./$-]+$/;

function programCommands({ flags }: Recipe, text: string, variable: string | undefined): Commands {
  if (
    !flags.has('f') &&
    variable === undefined &&
    duplicates.test(text) &&
    (flags.has('W') || flags.has('w'))
  ) {
    return {
      lines: flags.has('c') ? [] : ['discard;'],
      requires: ['duplicate'],
      notes: ['Sieve remembers Message-IDs for a time (a week), formail so many octets of them'],
      test: { kind: 'asked', text: 'duplicate', requires: ['duplicate'] },
    };
  }
  throw new CannotConvert(
    `it needs a program: ${text === '' ? 'standard output' : text}${hintFor(text, flags)}`,
  );
}

function hintFor(text: string, flags: ReadonlySet<string>): string {
  if (/\bspam(?:c|assassin)\b/.test(text))
    return ' (the server can ask SpamAssassin for all: plugins/spamassassin)';
  if (/\bvacation\b|formail\b.*\s-\w*r/.test(text)) return ' (see vacation, RFC 5230)';
  if (flags.has('f') && /\bformail\b/.test(text)) return ' (see addheader and deleteheader, RFC 5293)';
  return '';
}
