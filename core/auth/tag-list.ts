/** Lists of tag=value as in signatures, keys and policies. RFC 6376 section 3.2. */

export type TagList = ReadonlyMap<string, string>;

const tagName = /^[A-Za-z][A-Za-z0-9_]*$/;

/**
 * Tags in order; names keep their case, white space around values is removed, that within them stays.
 * Undefined when the list is malformed or names a tag twice: then all of it is invalid.
 */
export function parseTagList(text: string): TagList | undefined {
  const tags = new Map<string, string>();
  const specs = text.split(';');
  // A semicolon may end the list.
  if (specs.at(-1)!.trim() === '') specs.pop();
  for (const spec of specs) {
    const equals = spec.indexOf('=');
    const name = spec.slice(0, Math.max(equals, 0)).trim();
    if (!tagName.test(name) || tags.has(name)) return undefined;
    tags.set(name, spec.slice(equals + 1).trim());
  }
  return tags;
}

/** Base64 with white space anywhere, as signatures are folded; undefined when it is none. RFC 4648 section 4. */
export function decodeBase64(text: string): Buffer | undefined {
  const compact = text.replace(/[ \t\r\n]+/g, '');
  if (compact === '' || compact.length % 4 === 1 || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  return Buffer.from(compact, 'base64');
}

/** Colon separated list, white space around the parts removed. */
export function splitColons(text: string): string[] {
  return text.split(':').map((part) => part.trim());
}
