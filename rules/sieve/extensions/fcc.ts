/** `:fcc`: a copy of what vacation and notify send. RFC 8580. */
import type { Extension, TagSpec } from '../spec.ts';
import { flagsTags } from './imap4flags.ts';
import { mailboxidTags } from './mailboxid.ts';
import { specialUseTags } from './special-use.ts';

const fccTag: TagSpec = { name: 'fcc', parameter: 'string' };
/** Those of fileinto that RFC 8580 section 3 lets follow; each needs its own extension. */
const optional: readonly { readonly extension: string; readonly tags: readonly TagSpec[] }[] = [
  { extension: 'imap4flags', tags: flagsTags },
  { extension: 'mailbox', tags: [{ name: 'create' }] },
  { extension: 'mailboxid', tags: mailboxidTags },
  { extension: 'special-use', tags: specialUseTags },
];

/** A tag that counts only where `:fcc` stands as well and its extension is required. */
function dependent(extension: string, tag: TagSpec): TagSpec {
  return {
    ...tag,
    read(use, next) {
      if (!use.compiler.uses(extension)) {
        use.error(`the :${tag.name} tag for the ${use.title} needs require "${extension}"`);
        return 'wrong';
      }
      use.compiler.mark(extension);
      if (tag.read) return tag.read(use, next);
      if (!tag.parameter) return 'none';
      const right = next?.type === 'string' || (tag.parameter === 'string-list' && next?.type === 'list');
      if (right) return 'taken';
      use.error(`the :${tag.name} tag for the ${use.title} requires a parameter`, next?.at ?? use.node.at);
      return 'wrong';
    },
  };
}

const tags: readonly TagSpec[] = [
  fccTag,
  ...optional.flatMap(({ extension, tags: own }) => own.map((tag) => dependent(extension, tag))),
];

export const fcc: Extension = { name: 'fcc', tags: { vacation: tags, notify: tags } };
