/** Messages made 7-bit: what is encoded and how, what stays byte for byte, and that readers see the same texts and attachments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import { decodeTransfer } from '../../../core/mail/mime-decode.ts';
import { readMimeStructure } from '../../../core/mail/mime-structure.ts';
import { planSevenBit, streamSevenBit } from '../../../core/mail/seven-bit.ts';
import { createTransferEncoder } from '../../../core/mail/transfer-encoder.ts';

async function* inChunks(octets: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size);
}

/** Converted, or why not; the same whatever the chunks. */
async function converted(octets: Buffer): Promise<Buffer | 'needless' | 'impossible'> {
  const results: (Buffer | 'needless' | 'impossible')[] = [];
  for (const size of [1, 7, 100_000]) {
    const plan = await planSevenBit(inChunks(octets, size));
    if (typeof plan === 'string') results.push(plan);
    else results.push(await collected(streamSevenBit(inChunks(octets, size), plan)));
  }
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
  return results[0]!;
}

async function collected(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/** Lines of a message as UTF-8 with CRLF. */
function lines(...each: readonly string[]): Buffer {
  return Buffer.from(each.map((line) => `${line}\r\n`).join(''));
}

const cases: readonly { name: string; input: Buffer; want: Buffer | 'needless' | 'impossible' }[] = [
  {
    name: 'text with a field of its encoding: that field alone is another one',
    input: lines(
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: 8bit',
      'Content-Type: text/plain; charset=utf-8',
      '',
      'Grüße = viele ',
      '',
      'Bob',
    ),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: quoted-printable',
      'Content-Type: text/plain; charset=utf-8',
      '',
      'Gr=C3=BC=C3=9Fe =3D viele=20',
      '',
      'Bob',
    ),
  },
  {
    name: 'no MIME at all: RFC 1428',
    input: lines('From: a@b.test', '', 'Grüße von uns allen'),
    want: lines(
      'From: a@b.test',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=unknown-8bit',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=C3=BC=C3=9Fe von uns allen',
    ),
  },
  {
    name: 'a type without MIME-Version: the type stays',
    input: lines('Content-Type: text/html', '', '<p>Grüße von uns allen</p>'),
    want: lines(
      'Content-Type: text/html',
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '<p>Gr=C3=BC=C3=9Fe von uns allen</p>',
    ),
  },
  {
    name: 'more than a third to quote: base64',
    input: lines('MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', '', 'привет'),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: base64',
      '',
      '0L/RgNC40LLQtdGCDQo=',
    ).subarray(0, -2),
  },
  {
    name: 'nested multiparts: preambles, boundaries and 7-bit parts byte for byte',
    input: lines(
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary="o ut"',
      'Content-Transfer-Encoding: 8BIT',
      '',
      'before',
      '--o ut',
      'Content-Type: multipart/alternative; boundary=out',
      'Content-Transfer-Encoding: binary',
      '',
      '--out',
      '',
      'plain, and nothing to encode =',
      '--out  ',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: 8bit',
      '',
      '<p>Grüße von uns allen</p>',
      '',
      '--out--',
      'between',
      '--o ut',
      'Content-Type: application/octet-stream',
      'Content-Transfer-Encoding: binary',
      '',
      'ü and plain text',
      '--o ut',
      'Content-Type: text/plain',
      'Content-Transfer-Encoding: 8bit',
      '',
      'says more than it needs',
      '--o ut--',
      'after',
    ),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary="o ut"',
      'Content-Transfer-Encoding: 7bit',
      '',
      'before',
      '--o ut',
      'Content-Type: multipart/alternative; boundary=out',
      'Content-Transfer-Encoding: 7bit',
      '',
      '--out',
      '',
      'plain, and nothing to encode =',
      '--out  ',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '<p>Gr=C3=BC=C3=9Fe von uns allen</p>',
      '',
      '--out--',
      'between',
      '--o ut',
      'Content-Type: application/octet-stream',
      'Content-Transfer-Encoding: base64',
      '',
      'w7wgYW5kIHBsYWluIHRleHQ=',
      '--o ut',
      'Content-Type: text/plain',
      'Content-Transfer-Encoding: 7bit',
      '',
      'says more than it needs',
      '--o ut--',
      'after',
    ),
  },
  {
    name: 'a message in a part, in a digest: converted inside, and gets what it lacks',
    input: lines(
      'MIME-Version: 1.0',
      'Content-Type: multipart/digest; boundary=x',
      '',
      '--x',
      'Content-Transfer-Encoding: 8bit',
      '',
      'Subject: inner',
      '',
      'Grüße von uns allen',
      '--x',
      '',
      'Subject: untouched',
      '',
      'x',
      '--x--',
    ),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Type: multipart/digest; boundary=x',
      '',
      '--x',
      'Content-Transfer-Encoding: 7bit',
      '',
      'Subject: inner',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=unknown-8bit',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=C3=BC=C3=9Fe von uns allen',
      '--x',
      '',
      'Subject: untouched',
      '',
      'x',
      '--x--',
    ),
  },
  {
    name: 'message/global may be encoded, and is not looked into',
    input: lines(
      'MIME-Version: 1.0',
      'Content-Type: message/global',
      '',
      'Subject: Grüße',
      'Content-Type: multipart/signed; boundary=x',
      '',
      'x',
    ),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Type: message/global',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Subject: Gr=C3=BC=C3=9Fe',
      'Content-Type: multipart/signed; boundary=3Dx',
      '',
      'x',
    ),
  },
  {
    name: 'a header field beyond ASCII stays, the body is converted',
    input: lines('Subject: Grüße', 'MIME-Version: 1.0', 'Content-Type: text/plain', '', 'Grüße von allen'),
    want: lines(
      'Subject: Grüße',
      'MIME-Version: 1.0',
      'Content-Type: text/plain',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=C3=BC=C3=9Fe von allen',
    ),
  },
  {
    name: 'a last line without an end gets none',
    input: lines('MIME-Version: 1.0', 'Content-Type: text/plain', '', 'Grüße von uns allen ').subarray(0, -2),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Type: text/plain',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=C3=BC=C3=9Fe von uns allen=20',
    ).subarray(0, -2),
  },
  {
    name: 'a signed part without 8-bit octets stays as it is, beside one that is converted',
    input: lines(
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      'Content-Type: multipart/signed; boundary=y',
      '',
      '--y',
      'Content-Transfer-Encoding: 8bit',
      '',
      'signed',
      '--y--',
      '--x',
      '',
      'Grüße von uns allen',
      '--x--',
    ),
    want: lines(
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      'Content-Type: multipart/signed; boundary=y',
      '',
      '--y',
      'Content-Transfer-Encoding: 8bit',
      '',
      'signed',
      '--y--',
      '--x',
      'Content-Type: text/plain; charset=unknown-8bit',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=C3=BC=C3=9Fe von uns allen',
      '--x--',
    ),
  },
  { name: 'a 7-bit body', input: lines('Content-Transfer-Encoding: 8bit', '', 'x'), want: 'needless' },
  { name: 'an 8-bit header alone', input: lines('Subject: ü', '', 'x'), want: 'needless' },
  { name: 'nothing', input: Buffer.alloc(0), want: 'needless' },
  ...[
    ['signed', 'Content-Type: multipart/signed; boundary=x', '', '--x', '', 'ü', '--x--'],
    ['encrypted', 'Content-Type: multipart/encrypted; boundary=x', '', '--x', '', 'ü', '--x--'],
    [
      'in a message that is signed over',
      ...signedAround('Content-Type: message/rfc822', '', 'A: b', '', 'ü'),
    ],
    ['message/partial', 'Content-Type: message/partial', '', 'ü'],
    ['message/delivery-status', 'Content-Type: message/delivery-status', '', 'ü'],
    ['an encoding that has no 8-bit octets', 'Content-Transfer-Encoding: quoted-printable', '', 'ü'],
    ['an encoding that is unknown', 'Content-Transfer-Encoding: x-uuencode', '', 'ü'],
    ['a multipart without a boundary', 'Content-Type: multipart/mixed', '', 'ü'],
    ['a preamble', 'Content-Type: multipart/mixed; boundary=x', '', 'ü', '--x', '', 'x', '--x--'],
    ['two types', 'Content-Type: text/plain', 'Content-Type: text/html', '', 'ü'],
    ['a type that is none', 'Content-Type: text', '', 'ü'],
    ['a line in the header that is no field', 'A: b', 'what', 'C: d', '', 'ü'],
    ['a part that begins with no field', ...inMultipart('ü and no colon', '', 'x')],
    [
      'a multipart that says it is encoded',
      'Content-Transfer-Encoding: base64',
      ...inMultipart('A: b', '', 'ü'),
    ],
    ['no empty line after the header', 'A: b', 'ü'],
  ].map(([name, ...rest]) => ({
    name: `cannot be converted: ${name}`,
    input: lines(...rest),
    want: 'impossible' as const,
  })),
];

function inMultipart(...part: readonly string[]): string[] {
  return ['Content-Type: multipart/mixed; boundary=x', '', '--x', ...part, '--x--'];
}

function signedAround(...part: readonly string[]): string[] {
  return inMultipart('Content-Type: multipart/signed; boundary=y', '', '--y', ...part, '--y--');
}

for (const { name, input, want } of cases) {
  test(`7-bit: ${name}`, async () => {
    const result = await converted(input);
    assert.equal(result.toString('latin1'), want.toString('latin1'));
  });
}

/** A part whose lines, broken softly, would begin with the delimiter if nothing were done. */
const trap = `${'ü'.repeat(12)}xxx--b1--`;

function rich(): Buffer {
  const binary = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * 7919) % 251));
  const attached = Buffer.from(binary.toString('latin1').replace(/[\r\n\0]/g, '.'), 'latin1');
  return Buffer.concat([
    lines(
      'From: Ann <ann@ours.test>',
      'Subject: rich',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=b1',
      'Content-Transfer-Encoding: binary',
      '',
      '--b1',
      'Content-Type: multipart/alternative; boundary=b1b',
      '',
      '--b1b',
      'Content-Type: text/plain; charset=utf-8; format=flowed',
      'Content-Transfer-Encoding: 8bit',
      '',
      'Grüße, ',
      `${'lang und länger '.repeat(100)}`,
      trap,
      '\tTab\t',
      '-- ',
      '.',
      '',
      '--b1b',
      'Content-Type: text/html; charset=iso-8859-1',
      '',
      '<p>é</p>',
      '--b1b--',
      '',
      '--b1',
      'Content-Type: application/octet-stream',
      'Content-Disposition: attachment; filename=a.bin',
      'Content-Transfer-Encoding: 8bit',
      '',
    ),
    attached,
    lines(
      '',
      '--b1',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: 8bit',
      '',
      'From: bob@far.test',
      'Subject: inner',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: 8bit',
      '',
      'привет',
      '--b1--',
    ),
  ]);
}

test('7-bit: mailparser finds the same texts and attachments in both forms', async () => {
  const input = rich();
  const result = await converted(input);
  assert.ok(result instanceof Buffer);
  assert.ok(result.every((octet) => octet < 128));
  for (const line of result.toString('latin1').split('\r\n')) assert.ok(line.length <= 76, line);
  const [before, after] = await Promise.all([simpleParser(input), simpleParser(result)]);
  assert.equal(after.text, before.text);
  assert.equal(after.html, before.html);
  assert.match(before.text!, /Grüße/);
  const attachments = [before, after].map((mail) => mail.attachments.map(({ content }) => content));
  assert.equal(attachments[0]!.length, 2);
  assert.deepEqual(attachments[1]![0], attachments[0]![0]);
  const inner = await Promise.all(attachments.map(([, content]) => simpleParser(content!)));
  assert.equal(inner[1]!.text, inner[0]!.text);
  assert.match(inner[0]!.text!, /привет/);
});

test('7-bit: each part decodes to the octets it had', async () => {
  const input = rich();
  const result = await converted(input);
  assert.ok(result instanceof Buffer);
  assert.deepEqual(leaves(result), leaves(input));
});

function leaves(message: Buffer): (Buffer | undefined)[] {
  const found: (Buffer | undefined)[] = [];
  const walk = (part: ReturnType<typeof readMimeStructure>): void => {
    const inside = part.parts ?? (part.message ? [part.message] : []);
    for (const each of inside) walk(each);
    if (inside.length === 0)
      found.push(decodeTransfer(message.subarray(part.bodyStart, part.end), part.encoding));
  };
  walk(readMimeStructure(message));
  return found;
}

test('7-bit: any octets of a binary part come back, in chunks of any size', () => {
  const octets = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * index * 31 + index) % 256));
  for (const encoding of ['quoted-printable', 'base64'] as const) {
    for (const size of [1, 2, 57, 58, 5000]) {
      const encoder = createTransferEncoder(encoding);
      const out: Uint8Array[] = [];
      for (let at = 0; at < octets.length; at += size)
        out.push(encoder.write(octets.subarray(at, at + size)));
      const encoded = Buffer.concat([...out, encoder.end()]);
      assert.deepEqual(decodeTransfer(encoded, encoding), octets);
      assert.ok(
        encoded
          .toString('latin1')
          .split('\r\n')
          .every((line) => line.length <= 76 && !/[ \t]$/.test(line)),
      );
    }
  }
});

test('7-bit: more parts than are looked into: as it is', async () => {
  const part = '--x\r\n\r\nü\r\n';
  const message = Buffer.from(
    `Content-Type: multipart/mixed; boundary=x\r\n\r\n${part.repeat(10_001)}--x--\r\n`,
  );
  assert.equal(await planSevenBit(inChunks(message, 65_536)), 'impossible');
});
