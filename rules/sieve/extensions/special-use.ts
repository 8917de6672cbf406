/** specialuse_exists and `:specialuse`. RFC 8579. */
import type { Extension, TagSpec, TestSpec } from '../spec.ts';
import { hasBadOctets, shown } from '../text.ts';
import type { Use } from '../use.ts';

/** RFC 6154 section 6: a backslash and an atom. */
const attributePattern = /^\\[^\\\x00-\x20\x7f(){%*"\]\x80-\uffff]+$/;

const specialuseExists: TestSpec = {
  name: 'specialuse_exists',
  kind: 'test',
  positional: [
    { name: 'mailbox', type: 'string' },
    { name: 'special-use attributes', type: 'string-list' },
  ],
  optional: 1,
  compile(use) {
    const mailbox = use.positional[0] ? use.text(0) : undefined;
    if (mailbox?.constant !== undefined && hasBadOctets(mailbox.constant))
      use.error(
        `specialuse_exists test: invalid mailbox name \`${shown(mailbox.constant)}' specified: invalid utf-8`,
      );
    const attributes = use.texts(1);
    for (const attribute of attributes.constant ?? []) checkAttribute(use, attribute, use.at(1));
    return (run) => {
      const name = mailbox?.value(run);
      return attributes
        .values(run)
        .every((attribute) =>
          run.ask(
            `special use ${attribute.toLowerCase()}\n${name ?? ''}`,
            () => run.environment.specialUseExists?.(attribute, name) ?? false,
          ),
        );
    };
  },
};

function checkAttribute(use: Use, attribute: string, at: number): void {
  if (!attributePattern.test(attribute))
    use.error(`${use.title}: invalid special-use attribute \`${shown(attribute)}' specified`, at);
}

/** Used with fileinto and :fcc. */
const specialuseTag: TagSpec = {
  name: 'specialuse',
  read(use, next) {
    if (next?.type !== 'string') {
      use.error(
        `the :specialuse tag for the ${use.title} requires a string as parameter`,
        next?.at ?? use.node.at,
      );
      return 'wrong';
    }
    if (!next.text.includes('${')) checkAttribute(use, next.text, next.at);
    return 'taken';
  },
};

export const specialUse: Extension = {
  name: 'special-use',
  specs: [specialuseExists],
  tags: { fileinto: [specialuseTag] },
};
export const specialUseTags: readonly TagSpec[] = [specialuseTag];
