/** How deep the elements of an HTML text nest, by the parser that makes text of it. */
import { Parser } from 'htmlparser2';

/** Leaves the parser: its pause() would read on to the end of what it was given. */
const tooDeep = new Error('too deep');

/** True when elements nest deeper than `depthMax`; stops reading there. Linear time for a bounded depth. */
export function isDeeper(html: string, depthMax: number): boolean {
  let depth = 0;
  const parser = new Parser({
    onopentagname() {
      depth++;
      if (depth > depthMax) throw tooDeep;
    },
    onclosetag() {
      depth--;
    },
  });
  try {
    parser.end(html);
  } catch (error) {
    if (error !== tooDeep) throw error;
    return true;
  }
  return false;
}
