/**
 * mailparser's MailParser with a guard around what it does per part: limits on parts, depth and fields, errors of its
 * event handlers as stream errors instead of thread deaths, and no invented dates. Its methods `processChunk`,
 * `processHeaders` and `getTextContent` are overridden; a test fails when an upgrade no longer calls them.
 */
import type { Readable, Transform } from 'node:stream';
import type { HeaderLines, Headers } from 'mailparser';
import { htmlDepthMax, htmlToTextCharactersMax } from '../base/limits.ts';
import { parseDate } from './date.ts';
import { isDeeper, loadHtmlParser } from './html-depth.ts';

export type ParserHeaders = Headers;

/** What the parser's stream yields. */
export type Chunk =
  | { readonly type: 'text'; readonly text?: string; readonly html?: string | false }
  | { readonly type: 'attachment'; readonly content: Readable; readonly release: () => void };

export interface PartLimits {
  readonly partsMax: number;
  readonly depthMax: number;
  /** Octets of one header field. */
  readonly fieldBytesMax: number;
}

export interface GuardedParserOptions {
  readonly limits: PartLimits;
  readonly maxHeadSize: number;
  readonly skipHtmlToText: boolean;
}

export interface GuardedParser extends Transform {
  readonly headers: ParserHeaders | false;
  readonly headerLines: HeaderLines | false;
}

/** Parsing ended because the message is more than we look into. */
export class LimitPassed extends Error {
  readonly limit: 'depth' | 'parts' | 'header';
  constructor(limit: LimitPassed['limit']) {
    super(`MIME limit passed: ${limit}`);
    this.limit = limit;
  }
}

/** HTML was too long or too deep to be made into text; the parser has put its own words in the text's place. */
export class HtmlNotConverted extends Error {}

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
interface ParserInternals extends GuardedParser {
  readonly tree: TreeNode | false;
  getTextContent(): Chunk;
  processChunk(chunk: SplitterChunk, done: (error?: Error | null) => void): void;
  processHeaders(lines: readonly HeaderLine[] | undefined): ParserHeaders;
}
type ParserClass = new (options: object) => ParserInternals;

let loaded: Promise<new (options: GuardedParserOptions) => GuardedParser> | undefined;

/** mailparser takes 100 ms to load: only threads that need it load it, once. */
export function loadGuardedParser(): Promise<new (options: GuardedParserOptions) => GuardedParser> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<new (options: GuardedParserOptions) => GuardedParser> {
  const [{ MailParser }, HtmlParser] = await Promise.all([import('mailparser'), loadHtmlParser()]);
  return guard(MailParser as unknown as ParserClass, HtmlParser);
}

function guard(
  MailParser: ParserClass,
  HtmlParser: Awaited<ReturnType<typeof loadHtmlParser>>,
): new (
  options: GuardedParserOptions,
) => GuardedParser {
  return class extends MailParser {
    readonly #limits: PartLimits;
    readonly #skipsHtml: boolean;
    #parts = 0;

    constructor({ limits, ...options }: GuardedParserOptions) {
      super({
        ...options,
        maxChildNodes: limits.partsMax,
        // HTML made from text, and images put into HTML, are for mail readers.
        skipTextToHtml: true,
        skipTextLinks: true,
        skipImageLinks: true,
      });
      this.#limits = limits;
      this.#skipsHtml = options.skipHtmlToText;
    }

    override processChunk(chunk: SplitterChunk, done: (error?: Error | null) => void): void {
      try {
        if (chunk.type === 'node') this.#checkNode(chunk);
        super.processChunk(chunk, done);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    }

    override processHeaders(lines: readonly HeaderLine[] | undefined): ParserHeaders {
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
      if (!this.#skipsHtml && this.tree) this.#checkHtml(this.tree);
      return super.getTextContent();
    }

    /** Errors that the parser reports and then goes on from. */
    override emit(event: string | symbol, ...values: unknown[]): boolean {
      const [error] = values;
      if (event === 'error' && error instanceof Error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EMAXLEN')
          return super.emit(event, new LimitPassed(/nodes/.test(error.message) ? 'parts' : 'header'));
        if (/HTML/.test(error.message) && code === undefined)
          return super.emit(event, new HtmlNotConverted(error.message));
      }
      return super.emit(event, ...values);
    }

    /** Conversion takes time with the length of all HTML together and with its depth. */
    #checkHtml(tree: TreeNode): void {
      const texts = htmlTexts(tree);
      const length = texts.reduce((sum, text) => sum + text.length, 0);
      const convertible =
        length <= htmlToTextCharactersMax && !texts.some((text) => isDeeper(HtmlParser, text, htmlDepthMax));
      if (!convertible) throw new HtmlNotConverted('too long or too deep');
    }

    #checkNode(chunk: SplitterChunk): void {
      this.#parts += 1;
      if (this.#parts > this.#limits.partsMax) throw new LimitPassed('parts');
      let depth = 0;
      for (let node = chunk.parentNode; node; node = node.parentNode) depth++;
      if (depth > this.#limits.depthMax) throw new LimitPassed('depth');
      const long = chunk.headers?.getList().some(({ line }) => line.length > this.#limits.fieldBytesMax);
      if (long) throw new LimitPassed('header');
    }
  };
}

function htmlTexts(node: TreeNode): string[] {
  const own = node.contentType === 'text/html' && node.textContent ? [node.textContent] : [];
  return [...own, ...node.children.flatMap(htmlTexts)];
}
