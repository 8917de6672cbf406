/** The body test. RFC 5173. */
import type { MessageVersion } from '../message.ts';
import { contentText, type Part, readableText, walkParts, withCrlf } from '../mime/part.ts';
import type { Run } from '../run.ts';
import type { Extension, TestSpec } from '../spec.ts';
import { octetsText } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';

const group = 'body transform';

/** Values made once for each version of a message, by what was asked for. */
const made = new WeakMap<MessageVersion, Map<string, Values>>();

function remembered(run: Run, key: string, make: () => readonly string[]): Values {
  const known = made.get(run.message) ?? new Map<string, Values>();
  made.set(run.message, known);
  let values = known.get(key);
  if (!values) {
    values = new Values(make());
    run.countOctets(values.texts.reduce((sum, text) => sum + text.length, 0));
    known.set(key, values);
  }
  return values;
}

const bodyTest: TestSpec = {
  name: 'body',
  kind: 'test',
  matches: true,
  tags: [
    { name: 'raw', group },
    { name: 'content', parameter: 'string-list', group },
    { name: 'text', group },
  ],
  positional: [{ name: 'key list', type: 'string-list' }],
  compile(use) {
    use.compiler.needsBody = true;
    // RFC 5173 section 6: the text of a body sets no match values.
    use.captures = false;
    const match = use.match(0);
    const values = transform(use);
    // Section 4: a message of a header alone has no body, not an empty one.
    return (run) => run.message.hasBody() && match(run, values(run));
  },
};

function transform(use: Use): (run: Run) => Values {
  if (use.has('raw')) return rawValues;
  const types = use.tagTexts('content');
  if (!types) return textValues;
  return (run) => {
    const wanted = types.values(run).map((type) => type.toLowerCase());
    return remembered(run, `content ${wanted.join('\n')}`, () => contentValues(run, wanted));
  };
}

/** RFC 5173 section 5.1: the body undecoded, as one item. */
function rawValues(run: Run): Values {
  return remembered(run, 'raw', () => [
    withCrlf(octetsText(run.message.body().subarray(0, run.limits.bodyTextBytesMax))),
  ]);
}

/** RFC 5173 section 5.3: what a reader sees of the textual parts. */
function textValues(run: Run): Values {
  return remembered(run, 'text', () => {
    const texts: string[] = [];
    for (const part of partsOf(run)) {
      const isText = part.type === 'text' || (part.type === 'application' && part.subtype === 'xhtml+xml');
      const text = isText && part.typeIsRight ? readableText(part, run.limits.bodyTextBytesMax) : undefined;
      if (text !== undefined) texts.push(text);
    }
    return texts;
  });
}

/** Bounded together: nested messages hold the same octets again and again. */
function* partsOf(run: Run): Generator<Part> {
  let octets = 0;
  for (const part of walkParts(run.message.tree(run.limits))) {
    if (part.children.length === 0) octets += part.body.length;
    if (octets > run.limits.bodyTextBytesMax) return;
    yield part;
  }
}

/** RFC 5173 section 5.2. */
function contentValues(run: Run, types: readonly string[]): readonly string[] {
  const texts: string[] = [];
  for (const part of partsOf(run)) {
    if (!part.typeIsRight || !types.some((type) => isOfType(part, type))) continue;
    texts.push(...contentOf(part, run.limits.bodyTextBytesMax));
  }
  return texts;
}

/** Of a multipart what stands around its parts, of a message within its header, of anything else the content. */
function contentOf(part: Part, octetsMax: number): readonly string[] {
  if (part.preamble !== undefined) {
    return [part.preamble, part.epilogue!].map((octets) => withCrlf(octetsText(octets)));
  }
  const [message] = part.children;
  if (part.type === 'message' && message) {
    return [withCrlf(message.fields.all.map((field) => octetsText(field.raw)).join(''))];
  }
  const text = contentText(part, octetsMax);
  return text === undefined ? [] : [text];
}

/** `text`, `text/plain`, or nothing for all; a slash too many or at an end matches nothing. */
function isOfType(part: Part, wanted: string): boolean {
  if (wanted === '') return true;
  const [type, subtype, ...rest] = wanted.split('/');
  if (rest.length > 0 || type === '' || subtype === '') return false;
  return part.type === type && (subtype === undefined || part.subtype === subtype);
}

export const body: Extension = { name: 'body', specs: [bodyTest] };
