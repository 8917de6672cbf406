/** How deep the elements of an HTML text nest, by the parser that makes text of it. */
import type { Parser } from 'htmlparser2';

type ParserClass = typeof Parser;

/** Loaded together with mailparser, which uses the same parser. */
export async function loadHtmlParser(): Promise<ParserClass> {
  return (await import('htmlparser2')).Parser;
}

/** True when elements nest deeper than `depthMax`; stops reading there. Linear time for a bounded depth. */
export function isDeeper(HtmlParser: ParserClass, html: string, depthMax: number): boolean {
  let depth = 0;
  const parser: Parser = new HtmlParser({
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

/** Leaves the parser, whose pause() goes on to the end of what it was given. */
const tooDeep = new Error('too deep');
