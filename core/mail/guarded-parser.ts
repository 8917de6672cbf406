/**
 * mailparser's MailParser with a guard around what it does per part: limits on parts, depth, fields and HTML, errors of
 * its event handlers as stream errors instead of thread deaths, and no invented dates. Its methods `processChunk`,
 * `processHeaders` and `getTextContent` are overridden; tests fail when an upgrade no longer calls them.
 * Import this file lazily: mailparser takes 100 ms to load.
 */
import type { Readable, Transform } from 'node:stream';
import { type HeaderLines, type Headers, MailParser } from 'mailparser';
import { htmlDepthMax, htmlToTextCharactersMax } from '../base/limits/message.ts';
import { parseDate } from './date.ts';
import { isDeeper } from './html-depth.ts';

/** What the parser's stream yields. */
export type Chunk =
  | { readonly type: 'text'; readonly text?: string; readonly html?: string | false }
  | { readonly type: 'attachment'; readonly content: Readable; readonly release: () => void };

export interface GuardedParserOptions {
  readonly partsMax: number;
  readonly depthMax: number;
  /** Octets of one header field. */
  readonly fieldBytesMax: number;
  /** Octets of the header of one part. */
  readonly headerBytesMax: number;
  readonly skipHtmlToText: boolean;
}

/** Parsing ended because the message is more than we look into. */
export class LimitPassed extends Error {
  readonly limit: 'depth' | 'parts' | 'header';
  constructor(limit: LimitPassed['limit']) {
    super(`MIME limit passed: ${limit}`);
    this.limit = limit;
  }
}

/** HTML was too long or too deep to be made into text. */
export class HtmlNotConverted extends Error {}

type Done = (error?: Error | null) => void;
interface MimeNode {
  readonly parentNode?: MimeNode | false;
}
interface SplitterChunk extends MimeNode {
  readonly type: 'node' | 'data' | 'body';
  readonly headers?: { getList(): HeaderLine[] };
}
interface HeaderLine {
  readonly key: string;
  /** Name, colon and value, folds included; octets as Latin-1 characters. */
  readonly line: string;
}
interface TreeNode {
  readonly contentType?: string | false;
  readonly textContent?: string;
  readonly children: readonly TreeNode[];
}
/** The part of MailParser that its types leave out. */
interface ParserInternals extends Transform {
  readonly headers: Headers | false;
  readonly headerLines: HeaderLines | false;
  readonly tree: TreeNode | false;
  processChunk(chunk: SplitterChunk, done: Done): void;
  processHeaders(lines: readonly HeaderLine[] | undefined): Headers;
  getTextContent(): Chunk;
}
const Unguarded = MailParser as unknown as new (options: object) => ParserInternals;

export class GuardedParser extends Unguarded {
  readonly #options: GuardedParserOptions;
  #parts = 0;

  constructor(options: GuardedParserOptions) {
    super({
      maxChildNodes: options.partsMax,
      maxHeadSize: options.headerBytesMax,
      skipHtmlToText: options.skipHtmlToText,
      // HTML made from text, and images put into HTML, are for mail readers.
      skipTextToHtml: true,
      skipTextLinks: true,
      skipImageLinks: true,
    });
    this.#options = options;
  }

  override processChunk(chunk: SplitterChunk, done: Done): void {
    try {
      if (chunk.type === 'node') this.#checkNode(chunk);
      super.processChunk(chunk, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  override processHeaders(lines: readonly HeaderLine[] | undefined): Headers {
    const headers = super.processHeaders(lines);
    if (!headers.has('date')) return headers;
    // The parser puts the time of parsing in the place of a date that it cannot read.
    const line = lines?.findLast(({ key }) => key === 'date')?.line ?? '';
    const date = parseDate(line.slice(line.indexOf(':') + 1).replace(/\r?\n/g, ''));
    if (date === undefined) headers.delete('date');
    else headers.set('date', new Date(date));
    return headers;
  }

  override getTextContent(): Chunk {
    if (!this.#options.skipHtmlToText && this.tree) checkHtml(this.tree);
    return super.getTextContent();
  }

  /** Errors that the parser reports in its own words, and from some of which it goes on. */
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    const [error] = values;
    if (event !== 'error' || !(error instanceof Error)) return super.emit(event, ...values);
    if ((error as NodeJS.ErrnoException).code === 'EMAXLEN') {
      return super.emit(event, new LimitPassed(/nodes/.test(error.message) ? 'parts' : 'header'));
    }
    // `Failed to parse HTML`: its own words stand in the text's place.
    if (/HTML/.test(error.message)) return super.emit(event, new HtmlNotConverted(error.message));
    return super.emit(event, error);
  }

  #checkNode(chunk: SplitterChunk): void {
    const { partsMax, depthMax, fieldBytesMax } = this.#options;
    this.#parts += 1;
    if (this.#parts > partsMax) throw new LimitPassed('parts');
    let depth = 0;
    for (let node = chunk.parentNode; node; node = node.parentNode) depth++;
    if (depth > depthMax) throw new LimitPassed('depth');
    if (chunk.headers?.getList().some(({ line }) => line.length > fieldBytesMax))
      throw new LimitPassed('header');
  }
}

/** Conversion takes time with the length of all HTML together, and with its depth. */
function checkHtml(tree: TreeNode): void {
  const texts = htmlTexts(tree);
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  const convertible =
    length <= htmlToTextCharactersMax && !texts.some((text) => isDeeper(text, htmlDepthMax));
  if (!convertible) throw new HtmlNotConverted('HTML is too long or too deep');
}

function htmlTexts(node: TreeNode): string[] {
  const own = node.contentType === 'text/html' && node.textContent ? [node.textContent] : [];
  return [...own, ...node.children.flatMap(htmlTexts)];
}
