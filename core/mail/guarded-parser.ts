/**
 * mailparser's MailParser with a guard around what it does per part: limits on parts, depth and fields, errors of its
 * event handlers as stream errors instead of thread deaths, and no invented dates. Its methods `processChunk` and
 * `processHeaders` are overridden; a test fails when an upgrade no longer calls them.
 */
import type { Readable, Transform } from 'node:stream';
import type { HeaderLines, Headers } from 'mailparser';
import { parseDate } from './date.ts';

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
  readonly maxHtmlLengthToParse: number;
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
/** The part of MailParser that its types leave out. */
interface ParserInternals extends GuardedParser {
  processChunk(chunk: SplitterChunk, done: (error?: Error | null) => void): void;
  processHeaders(lines: readonly HeaderLine[] | undefined): ParserHeaders;
}
type ParserClass = new (options: object) => ParserInternals;

let loaded: Promise<new (options: GuardedParserOptions) => GuardedParser> | undefined;

/** mailparser takes 100 ms to load: only threads that need it load it, once. */
export function loadGuardedParser(): Promise<new (options: GuardedParserOptions) => GuardedParser> {
  loaded ??= import('mailparser').then(({ MailParser }) => guard(MailParser as unknown as ParserClass));
  return loaded;
}

function guard(MailParser: ParserClass): new (options: GuardedParserOptions) => GuardedParser {
  return class extends MailParser {
    readonly #limits: PartLimits;
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
