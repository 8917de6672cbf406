/** GETMETADATA and SETMETADATA. RFC 5464. */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import { type SpecialUse, specialUses } from '../../../mailbox/mailbox.ts';
import { command } from '../command.ts';
import { metadataText } from '../metadata-text.ts';
import { type Cursor, utf8 } from '../parse/cursor.ts';
import { bad, no } from '../refusal.ts';
import type { Session } from '../session.ts';

interface GetArguments {
  readonly mailbox: string;
  readonly entries: readonly string[];
  readonly sizeMax: number;
  readonly depth: number;
}

export const getmetadata = command({
  name: 'GETMETADATA',
  in: 'authenticated',
  parse(input): GetArguments {
    let sizeMax = Number.POSITIVE_INFINITY;
    let depth = 0;
    input.space();
    if (input.next === '(') {
      input.list(() => {
        const name = input.word();
        input.space();
        if (name === 'MAXSIZE') sizeMax = input.number();
        else if (name === 'DEPTH') depth = readDepth(input);
        else throw bad(`there is no option ${name.slice(0, 40)}`);
      });
      input.space();
    }
    const mailbox = input.mailbox();
    input.space();
    // What lies under a whole tree may be asked for.
    const read = () => readEntry(input, 0);
    const entries = input.next === '(' ? input.list(read) : [read()];
    return { mailbox, entries, sizeMax, depth };
  },
  async run(session, { mailbox, entries, sizeMax, depth }) {
    const folder = placeOf(session, mailbox);
    const all = new Map(await session.account.metadata(folder));
    const uses = (await session.account.list()).find(({ name }) => name === folder)?.specialUse ?? [];
    if (uses.length > 0) all.set(specialUseEntry, uses.join(' '));
    const names = entries.flatMap((entry) => [
      ...(depth === 0 || all.has(entry) ? [entry] : []),
      ...[...all.keys()].filter((name) => isWithin(name, entry, depth)),
    ]);
    const sizes = names.map((name) => Buffer.byteLength(all.get(name) ?? ''));
    const fitting = names.filter((_, at) => sizes[at]! <= sizeMax);
    if (fitting.length > 0) session.untagged(metadataText(session, folder, [...new Set(fitting)], all));
    const longest = Math.max(0, ...sizes.filter((size) => size > sizeMax));
    return longest > 0 ? { code: `METADATA LONGENTRIES ${longest}` } : undefined;
  },
});

export const setmetadata = command({
  name: 'SETMETADATA',
  in: 'authenticated',
  parse(input) {
    input.space();
    const mailbox = input.mailbox();
    input.space();
    const pairs = input.list((): [string, string | undefined] => {
      const entry = readEntry(input, 1);
      input.space();
      const value = input.nstring();
      return [entry, value === undefined ? undefined : utf8(value)];
    });
    return { mailbox, entries: new Map(pairs) };
  },
  async run(session, { mailbox, entries }) {
    const { metadataValueOctetsMax } = imapLimits;
    for (const value of entries.values()) {
      if (value !== undefined && Buffer.byteLength(value) > metadataValueOctetsMax) {
        throw no('the value is too long', `METADATA MAXSIZE ${metadataValueOctetsMax}`);
      }
    }
    const folder = placeOf(session, mailbox);
    const uses =
      folder !== '' && entries.has(specialUseEntry) ? readUses(entries.get(specialUseEntry)) : undefined;
    const others = new Map([...entries].filter(([name]) => uses === undefined || name !== specialUseEntry));
    if (others.size > 0) await session.account.setMetadata(folder, others);
    if (uses) await session.account.setSpecialUse(folder, uses);
  },
});

/** RFC 6154 section 4: the special uses of a mailbox, which LIST tells too. */
const specialUseEntry = '/private/specialuse';

/** @throws Refusal USEATTR */
function readUses(value: string | undefined): SpecialUse[] {
  const words = (value ?? '').split(' ').filter((word) => word !== '');
  return words.map((word) => {
    const use = specialUses.find((each) => each.toLowerCase() === word.toLowerCase());
    if (!use) throw no('this special use is not known', 'USEATTR');
    return use;
  });
}

/** '' is the server itself. */
function placeOf(session: Session, mailbox: string): string {
  return mailbox === '' ? '' : session.folderName(mailbox);
}

function readDepth(input: Cursor): number {
  const written = input.word();
  if (written === 'INFINITY') return Number.POSITIVE_INFINITY;
  if (written !== '0' && written !== '1') throw bad('0, 1 or infinity was expected');
  return Number(written);
}

/** RFC 5464 section 3.1 and 3.2: two trees, no wildcards, no empty component, case does not count. */
function readEntry(input: Cursor, componentsMin: number): string {
  const entry = input.astring().toLowerCase();
  const [root, tree, ...components] = entry.split('/');
  const isTree = root === '' && (tree === 'private' || tree === 'shared');
  const isName = components.every((component) => /^[^*%\0-\x1f\x7f-\xff]+$/.test(component));
  if (!isTree || !isName || components.length < componentsMin) throw bad('an entry name was expected');
  return entry;
}

function isWithin(name: string, entry: string, depth: number): boolean {
  if (!name.startsWith(`${entry}/`)) return false;
  return name.slice(entry.length + 1).split('/').length <= depth;
}
