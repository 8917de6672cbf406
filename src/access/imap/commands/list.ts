/** LIST, with selection and return options. RFC 9051 section 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 8440, RFC 9590. */
import type { FolderInfo } from '../../../mailbox/mailbox.ts';
import { command } from '../command.ts';
import { listPattern } from '../list-pattern.ts';
import { listText } from '../list-text.ts';
import { metadataText } from '../metadata-text.ts';
import type { Cursor } from '../parse/cursor.ts';
import { bad } from '../refusal.ts';
import type { Session } from '../session.ts';
import { readStatusItems, type StatusItem, statusText } from '../status-text.ts';

type Selection = 'SUBSCRIBED' | 'REMOTE' | 'RECURSIVEMATCH' | 'SPECIAL-USE';

interface ListArguments {
  readonly reference: string;
  readonly patterns: readonly string[];
  readonly selection: ReadonlySet<Selection>;
  readonly isExtended: boolean;
  readonly returns: ReadonlySet<string>;
  readonly status: readonly StatusItem[];
  readonly metadata: readonly string[];
}

export const list = command({
  name: 'LIST',
  in: 'authenticated',
  parse: readArguments,
  run: tellList,
});

function readArguments(input: Cursor): ListArguments {
  input.space();
  const isExtended = input.next === '(';
  const selection = new Set(isExtended ? input.list(() => readSelection(input), { empty: true }) : []);
  if (isExtended) input.space();
  const reference = input.mailbox();
  input.space();
  const several = input.next === '(';
  const patterns = several ? input.list(() => input.listMailbox()) : [input.listMailbox()];
  const returns = new Set<string>();
  let status: StatusItem[] = [];
  let metadata: string[] = [];
  if (input.skip(' ')) {
    input.expect('RETURN ');
    input.list(
      () => {
        const name = input.word();
        if (!returnOptions.has(name)) throw bad(`there is no return option ${name.slice(0, 40)}`);
        returns.add(name);
        if (name === 'STATUS') {
          input.space();
          status = readStatusItems(input);
        } else if (name === 'METADATA') {
          input.space();
          metadata = input.list(() => input.astring().toLowerCase());
        }
      },
      { empty: true },
    );
  }
  // RFC 5258 section 3.1: it says how the others select.
  if (selection.has('RECURSIVEMATCH') && !selection.has('SUBSCRIBED') && !selection.has('SPECIAL-USE')) {
    throw bad('RECURSIVEMATCH needs another selection option');
  }
  return { reference, patterns, selection, isExtended: isExtended || several, returns, status, metadata };
}

const selections: readonly Selection[] = ['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE'];
const returnOptions: ReadonlySet<string> = new Set([
  'SUBSCRIBED',
  'CHILDREN',
  'SPECIAL-USE',
  'STATUS',
  'METADATA',
  'MYRIGHTS',
]);

function readSelection(input: Cursor): Selection {
  const name = input.word();
  const found = selections.find((each) => each === name);
  if (!found) throw bad(`there is no selection option ${name.slice(0, 40)}`);
  return found;
}

async function tellList(session: Session, given: ListArguments): Promise<void> {
  const { reference, patterns } = given;
  // RFC 9051 section 6.3.9: an empty pattern asks for the separator and the root.
  if (patterns.length === 1 && patterns[0] === '') {
    session.untagged('LIST (\\Noselect) "/" ""');
    return;
  }
  const matchers = patterns
    .filter((pattern) => pattern !== '')
    .map((pattern) => listPattern(session.patternText(reference + pattern)));
  const isMatch = (name: string) => matchers.some((matcher) => matcher(name));
  const all = withParents(await session.account.list(), given.selection);
  for (const info of all) {
    if (!isMatch(info.name)) continue;
    const hasSubscribedChild =
      given.selection.has('RECURSIVEMATCH') && hasChildThat(all, info, isSelected, isMatch);
    if (!isSelected(info) && !hasSubscribedChild) continue;
    await tellOne(session, info, given, hasSubscribedChild && given.selection.has('SUBSCRIBED'));
  }

  function isSelected(info: FolderInfo): boolean {
    const { selection } = given;
    if (selection.has('SPECIAL-USE') && info.specialUse.length === 0) return false;
    if (selection.has('SUBSCRIBED')) return info.subscribed;
    return info.exists || info.hasChildren;
  }
}

/** A name that is subscribed and not there has parents that are not there either. RFC 5258 section 3.5. */
function withParents(all: readonly FolderInfo[], selection: ReadonlySet<Selection>): readonly FolderInfo[] {
  if (!selection.has('RECURSIVEMATCH')) return all;
  const known = new Set(all.map(({ name }) => name));
  const parents = new Set<string>();
  for (const { name } of all) {
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
      if (!known.has(name.slice(0, at))) parents.add(name.slice(0, at));
    }
  }
  const nobody = { exists: false, hasChildren: false, subscribed: false, specialUse: [] };
  return [...all, ...[...parents].map((name) => ({ name, ...nobody }))];
}

/** A child that is selected and does not match itself: then its parent speaks for it. RFC 5258 section 3.5. */
function hasChildThat(
  all: readonly FolderInfo[],
  { name }: FolderInfo,
  isSelected: (info: FolderInfo) => boolean,
  isMatch: (name: string) => boolean,
): boolean {
  return all.some((info) => info.name.startsWith(`${name}/`) && isSelected(info) && !isMatch(info.name));
}

async function tellOne(
  session: Session,
  info: FolderInfo,
  { selection, returns, status, metadata }: ListArguments,
  hasSubscribedChild: boolean,
): Promise<void> {
  const subscribed = returns.has('SUBSCRIBED') || selection.has('SUBSCRIBED');
  session.untagged(`LIST ${listText(session, info, { subscribed, hasSubscribedChild })}`);
  if (!info.exists) return;
  if (returns.has('MYRIGHTS')) session.untagged(`MYRIGHTS ${session.mailboxText(info.name)} ${ownerRights}`);
  if (status.length > 0) {
    const text = await statusText(session, info.name, status).catch(() => undefined);
    if (text !== undefined) session.untagged(text);
  }
  if (metadata.length > 0) {
    const entries = await session.account.metadata(info.name);
    session.untagged(metadataText(session, info.name, metadata, entries));
  }
  await session.out.drained();
}

/** RFC 4314 section 4: a mailbox's owner. */
export const ownerRights = 'lrswipkxtea';
