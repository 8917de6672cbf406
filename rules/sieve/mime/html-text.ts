/** The text of HTML without its tags, in linear time. */
import { Parser } from 'htmlparser2';

const hidden: ReadonlySet<string> = new Set(['script', 'style', 'title', 'head']);
const breaks: ReadonlySet<string> = new Set([
  'br',
  'p',
  'div',
  'tr',
  'li',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
]);

export function htmlText(html: string): string {
  let text = '';
  let hiddenDepth = 0;
  const parser = new Parser({
    onopentagname(name) {
      if (hidden.has(name)) hiddenDepth++;
      if (breaks.has(name) && text !== '' && !text.endsWith('\n')) text += '\r\n';
    },
    onclosetag(name) {
      if (hidden.has(name) && hiddenDepth > 0) hiddenDepth--;
    },
    ontext(piece) {
      if (hiddenDepth === 0) text += piece;
    },
  });
  parser.end(html);
  return text;
}
