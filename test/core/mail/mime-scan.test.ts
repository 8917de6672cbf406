/** The parts found in a stream are those that the reader of whole messages finds, in whatever order boundaries come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scanMime } from '../../../core/mail/mime-scan.ts';
import { type MimePart, readMimeStructure } from '../../../core/mail/mime-structure.ts';

const headers = [
  'Content-Type: multipart/mixed; boundary=a\r\n',
  'Content-Type: multipart/digest; boundary="a b"\r\n',
  'Content-Type: multipart/signed;\r\n boundary=ab\r\n',
  'Content-Type: message/rfc822\r\n',
  'Content-Transfer-Encoding: base64\r\n',
  '',
];
const delimiters = ['--a', '--a b  ', '--ab'];
/** Blocks of which messages are made that nest, end early and use a boundary twice. */
const blocks = [
  ...delimiters.flatMap((line) => headers.map((header) => `${line}\r\n${header}\r\n`)),
  ...headers.map((header) => `${header}\r\n`),
  ...['--a--', '--a b--', '--ab--', '--ab--x', '--', 'text ü', ''].map((line) => `${line}\r\n`),
];

/** In the order of the headers; where a part with parts ends is no matter here. */
function flat(part: MimePart): string[] {
  const inside = part.parts?.filter((each) => !isStandIn(each)) ?? (part.message ? [part.message] : []);
  const { type, subtype, encoding, bodyStart, end } = part;
  const isLeaf = part.parts === undefined && part.message === undefined;
  return [`${type}/${subtype} ${encoding} ${bodyStart}${isLeaf ? `-${end}` : ''}`, ...inside.flatMap(flat)];
}

/** What stands for the parts of a multipart without any. */
function isStandIn({ headerStart, bodyStart, end, encoding, type, parameters }: MimePart): boolean {
  const isDefault = type === 'TEXT' && encoding === '7BIT' && parameters[0]?.[1] === 'US-ASCII';
  return isDefault && headerStart === bodyStart && bodyStart === end;
}

test('parts of a stream are those of the whole message', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...blocks), { minLength: 4, maxLength: 16 }), async (each) => {
      const message = Buffer.from(`${headers[0]}\r\n${each.join('')}`);
      const parts = (await scanMime(inTwo(message)))!;
      // A header that readers do not agree on is where this one stops looking.
      fc.pre(parts.every(({ isSound }) => isSound));
      const found = parts.map(
        ({ kind, type, encoding, bodyStart, end }) =>
          `${type} ${encoding} ${kind === 'leaf' ? `${Math.min(bodyStart, end)}-${end}` : bodyStart}`,
      );
      assert.deepEqual(found, flat(readMimeStructure(message)));
    }),
    { numRuns: 1000 },
  );
});

async function* inTwo(message: Buffer): AsyncGenerator<Buffer> {
  const middle = message.length >> 1;
  yield message.subarray(0, middle);
  yield message.subarray(middle);
}
