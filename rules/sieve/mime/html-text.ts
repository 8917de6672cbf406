/** The text of HTML without its tags, in linear time. */
import { Parser } from 'htmlparser2';

const hidden: ReadonlySet<string> = new Set(['script', 'style']);

export function htmlText(html: string): string {
  let text = '';
  let hiddenDepth = 0;
  // What tags part is not one word.
  const part = () => {
    if (text !== '' && !/\s$/.test(text.slice(-1))) text += ' ';
  };
  const parser = new Parser({
    onopentagname(name) {
      if (hidden.has(name)) hiddenDepth++;
      part();
    },
    onclosetag(name) {
      if (hidden.has(name) && hiddenDepth > 0) hiddenDepth--;
      part();
    },
    ontext(piece) {
      if (hiddenDepth === 0) text += piece;
    },
  });
  parser.end(html);
  return text;
}
