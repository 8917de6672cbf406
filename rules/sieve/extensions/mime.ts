/** `:mime`, `:anychild` and what they pick from MIME fields. RFC 5703 section 4. */
import { decodeWords } from '../../../core/mail/encoded-word.ts';
import { Fields } from '../fields.ts';
import { parseStructured } from '../mime/parameters.ts';
import { walkParts } from '../mime/part.ts';
import type { Run } from '../run.ts';
import type { Extension, TagSpec } from '../spec.ts';
import type { Use } from '../use.ts';

const options = ['type', 'subtype', 'contenttype', 'param'] as const;

/** They exclude each other, under one message for all four. */
const optionTag = (name: (typeof options)[number]): TagSpec => ({
  name,
  read(use, next) {
    if (use.groups.has('mime option')) {
      use.error(
        `the :type, :subtype, :contenttype, and :param arguments for the ${use.title} are mutually exclusive, but more than one was specified`,
      );
      return 'wrong';
    }
    use.groups.set('mime option', name);
    if (name !== 'param') return 'none';
    if (next?.type === 'string' || next?.type === 'list') return 'taken';
    use.error(
      `the :param tag for the ${use.title} requires a string list as parameter, but no parameters were found`,
    );
    return 'wrong';
  },
});

const partTags: readonly TagSpec[] = [{ name: 'mime' }, { name: 'anychild' }];

/** Fields of the part under way, or of it and all within. Undefined where the test looks at the message. */
export function mimeFields(use: Use): ((run: Run) => Fields) | undefined {
  const anychild = use.has('anychild');
  if (!use.has('mime')) {
    if (anychild)
      use.error(`the :anychild tag for the ${use.title} cannot be specified without the :mime tag`);
    if (use.groups.has('mime option'))
      use.error(
        `the :${use.groups.get('mime option')} tag for the ${use.title} cannot be specified without the :mime tag`,
      );
    return undefined;
  }
  use.compiler.needsBody = true;
  if (!anychild) return (run) => run.part.fields;
  return (run) => new Fields([...walkParts(run.part)].flatMap((part) => part.fields.all));
}

/** What of a field's value the test compares. Undefined for all of it. */
export function mimeOption(
  use: Use,
): ((run: Run, lowerName: string, value: string) => readonly string[]) | undefined {
  const option = use.groups.get('mime option');
  if (option === undefined) return undefined;
  const names = use.tagTexts('param');
  return (run, lowerName, value) => {
    const field = parseStructured(value);
    const [type = '', subtype = ''] = field.value.split('/');
    switch (option) {
      // Section 4.1: of a disposition the whole is its type, and it has no subtype.
      case 'type':
        return [lowerName === 'content-type' ? type : field.value];
      case 'subtype':
        return lowerName === 'content-type' ? [subtype] : [''];
      case 'contenttype':
        return [lowerName === 'content-type' ? `${type}/${subtype}` : field.value];
      default:
        return names!
          .values(run)
          .map((name) => field.parameters.get(name.toLowerCase()))
          .filter((found) => found !== undefined)
          .map((found) => decodeWords(found));
    }
  };
}

export const mime: Extension = {
  name: 'mime',
  tags: {
    header: [...partTags, ...options.map(optionTag)],
    address: partTags,
    exists: partTags,
  },
};
