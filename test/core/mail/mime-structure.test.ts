/** Structure, BODYSTRUCTURE and ENVELOPE of messages, whole ones and broken ones. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bodyStructureText } from '../../../core/mail/imap-body-structure.ts';
import { envelopeText } from '../../../core/mail/imap-envelope.ts';
import { decodeTransfer } from '../../../core/mail/mime-decode.ts';
import { type MimePart, partHeader, readMimeStructure } from '../../../core/mail/mime-structure.ts';
import { randomSource } from '../../kit/random.ts';
import { requireSuite } from '../../kit/require.ts';

function message(text: string): Buffer {
  return Buffer.from(text.replaceAll('\n', '\r\n'), 'utf8');
}

function structureOf(text: string, extended = false): string {
  const octets = message(text);
  return bodyStructureText(octets, readMimeStructure(octets), extended);
}

function envelopeOf(text: string): string {
  const octets = message(text);
  return envelopeText(partHeader(octets, readMimeStructure(octets)));
}

const structures: readonly (readonly [name: string, input: string, want: string])[] = [
  ['no Content-Type', 'Subject: x\n\nhello\n', '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 7 1)'],
  ['nothing at all', '', '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0)'],
  [
    'a boundary that is folded, and a part that ends before its delimiter',
    'Content-Type: multipart/mixed; boundary="foo\n bar"\n\n--foo bar\nContent-Type: text/x-myown; charset=us-ascii\n\nhello\n\n--foo bar--\n',
    '(("TEXT" "X-MYOWN" ("charset" "us-ascii") NIL NIL "7BIT" 7 1) "MIXED")',
  ],
  [
    'a multipart without parts has an empty one',
    'Content-Type: multipart/mixed; boundary=x\n\nnothing\n',
    '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0) "MIXED")',
  ],
  [
    'a multipart without a boundary has an empty part',
    'Content-Type: multipart/mixed\n\n--x\n\nnothing\n--x--\n',
    '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0) "MIXED")',
  ],
  [
    'a part without header or body',
    'Content-Type: multipart/mixed; boundary=x\n\n--x\n--x--\n',
    '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0) "MIXED")',
  ],
  [
    'an inner multipart that is not closed ends with the outer one',
    'Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/alternative; boundary=in\n\n--in\n\na\n--out\n\nb\n--out--\n',
    '((("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1 0) "ALTERNATIVE")("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1 0) "MIXED")',
  ],
  [
    'a message in a digest',
    'Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: in\n\nhello\n--x--\n',
    '(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 20 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 5 0) 2) "DIGEST")',
  ],
  [
    'a message that is encoded is not looked into',
    'Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n',
    '("MESSAGE" "RFC822" NIL NIL NIL "BASE64" 6 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0) 1)',
  ],
  [
    'continued parameters are joined, those with a charset stay encoded',
    'Content-Type: a/b; name*1=" two"; name*0=one; x*0*=utf-8\'\'%e2; x*1*=%82%ac; x*2="a b"; y*=us-ascii\'\'z; z=1\n\nx',
    '("A" "B" ("y*" "us-ascii\'\'z" "z" "1" "name" "one two" "x*" "utf-8\'\'%e2%82%aca%20b") NIL NIL "7BIT" 1)',
  ],
  [
    'a type that is none',
    'Content-Type: text\n\nx',
    '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1 0)',
  ],
  [
    'comments and loose values',
    'Content-Type: (a (b)) image / png (c); name=a b.png; (d) x = "q\\"r"\nContent-ID: <i@x>\nContent-Description: what\n\nx',
    '("IMAGE" "PNG" ("name" "a" "x" "q\\"r") "<i@x>" "what" "7BIT" 1)',
  ],
];

test('BODY tells the structure', () => {
  for (const [name, input, want] of structures) assert.equal(structureOf(input), want, name);
});

test('BODYSTRUCTURE has disposition, languages and location behind it', () => {
  const header =
    'Content-Type: text/plain\nContent-MD5: Q2hlY2s=\nContent-Disposition: attachment; filename="ä.txt"\nContent-Language: de, en\nContent-Location: http://x/\n y\n\nhi\n';
  const want = `("TEXT" "PLAIN" NIL NIL NIL "7BIT" 4 1 "Q2hlY2s=" ("attachment" ("filename" {6}\r\n${Buffer.from('ä.txt').toString('latin1')})) ("de" "en") "http://x/y")`;
  assert.equal(structureOf(header, true), want);
});

test('offsets lead to the octets of each part', () => {
  const octets = message(
    'Content-Type: multipart/mixed; boundary=x\n\nbefore\n--x\nA: 1\n\none\n\n--x \nB: 2\n\ntwo\n--x--\nafter\n',
  );
  const root = readMimeStructure(octets);
  const body = (part: MimePart) => octets.toString('latin1', part.bodyStart, part.end);
  const header = (part: MimePart) => octets.toString('latin1', part.headerStart, part.bodyStart);
  assert.deepEqual(root.parts?.map(body), ['one\r\n', 'two']);
  assert.deepEqual(root.parts?.map(header), ['A: 1\r\n\r\n', 'B: 2\r\n\r\n']);
  assert.equal(root.end, octets.length);
});

const envelopes: readonly (readonly [name: string, input: string, want: string])[] = [
  [
    'Sender and Reply-To are From where they are not there',
    'From: user@domain\nSender:\n\n',
    '(NIL NIL ((NIL NIL "user" "domain")) ((NIL NIL "user" "domain")) ((NIL NIL "user" "domain")) NIL NIL NIL NIL NIL)',
  ],
  [
    'groups, empty ones and one with a comment alone',
    'To: group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;\nCc: group:;, group2: (foo) ;\n\n',
    '(NIL NIL NIL NIL NIL ((NIL NIL "group" NIL)(NIL NIL "g1" "d1.org")(NIL NIL "g2" "d2.org")(NIL NIL NIL NIL)(NIL NIL "group2" NIL)(NIL NIL "g3" "d3.org")(NIL NIL NIL NIL)) ((NIL NIL "group" NIL)(NIL NIL NIL NIL)(NIL NIL "group2" NIL)(NIL NIL NIL NIL)) NIL NIL NIL)',
  ],
  [
    'a name in a comment, a route, quotes, encoded words as they are',
    'To: user@domain (Real Name), <@route:user@domain>, "q \\" r" <a@b>, =?utf-8?Q?=C3=A4?= x <c@d>\n\n',
    '(NIL NIL NIL NIL NIL (("Real Name" NIL "user" "domain")(NIL "@route" "user" "domain")("q \\" r" NIL "a" "b")("=?utf-8?Q?=C3=A4?= x" NIL "c" "d")) NIL NIL NIL NIL)',
  ],
  [
    'of several comments the last is the name',
    'To: (one) user@domain (Real Name)\n\n',
    '(NIL NIL NIL NIL NIL (("Real Name" NIL "user" "domain")) NIL NIL NIL NIL)',
  ],
  [
    'words without an address are a name',
    'To: Someone Else\n\n',
    '(NIL NIL NIL NIL NIL (("Someone Else" NIL "" "")) NIL NIL NIL NIL)',
  ],
  [
    'an address without domain is no group mark',
    'To: root\n\n',
    '(NIL NIL NIL NIL NIL ((NIL NIL "root" "")) NIL NIL NIL NIL)',
  ],
  [
    'a folded subject and octets beyond US-ASCII',
    'Subject: one\n two à\n\n',
    `(NIL {10}\r\n${Buffer.from('one two à').toString('latin1')} NIL NIL NIL NIL NIL NIL NIL NIL)`,
  ],
];

test('ENVELOPE is taken from the header', () => {
  for (const [name, input, want] of envelopes) assert.equal(envelopeOf(input), want, name);
});

test('quoted-printable and base64 are taken off, however broken', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['quoted-printable', 'a=3D=\r\nb \t\r\nc=zz=4', 'a=b\r\nc=zz=4'],
    ['quoted-printable', 'soft= \r\nbreak', 'softbreak'],
    ['base64', 'aGVs\r\nbG8=', 'hello'],
    ['base64', 'aGVsbG8=aGVsbG8=', 'hellohello'],
  ];
  for (const [encoding, input, want] of cases) {
    assert.equal(decodeTransfer(Buffer.from(input), encoding)?.toString(), want, input);
  }
  assert.equal(decodeTransfer(Buffer.from('x'), 'x-uuencode'), undefined);
});

/** Every octet between the begin of a part and its end belongs to it, and parts do not overlap. */
function checkNesting(part: MimePart, from: number, to: number): void {
  assert.ok(part.headerStart >= from && part.bodyStart >= part.headerStart);
  assert.ok(part.end >= part.bodyStart && part.end <= to, `${part.end} is past ${to}`);
  if (part.message) checkNesting(part.message, part.bodyStart, part.end);
  let at = part.bodyStart;
  for (const inside of part.parts ?? []) {
    checkNesting(inside, at, part.end);
    at = inside.end;
  }
}

test('random pieces of MIME nest, and lines add up', () => {
  const random = randomSource('mime structure');
  const pieces = [
    '--x\r\n',
    '--x--\r\n',
    '--y\r\n',
    '--y--',
    '\r\n',
    '\n',
    'text\r\n',
    ' folded\r\n',
    'Content-Type: multipart/mixed; boundary=x\r\n',
    'Content-Type: multipart/digest; boundary="y"\r\n',
    'Content-Type: message/rfc822\r\n',
    'Content-Type: text/html',
    '--x \t\r\n\r\n',
    '-',
  ];
  for (let round = 0; round < 3000; round += 1) {
    const text = Array.from({ length: random.below(30) }, () => random.pick(pieces)).join('');
    const octets = Buffer.from(text);
    const root = readMimeStructure(octets);
    checkNesting(root, 0, octets.length);
    const lines = octets.toString('latin1', root.bodyStart, root.end).split('\n').length - 1;
    assert.equal(root.lines, lines, `round ${round}: ${JSON.stringify(text)}`);
    bodyStructureText(octets, root, true);
  }
});

test('hostile structures take linear time', () => {
  const cases = {
    'delimiters only': `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n'.repeat(400_000)}`,
    'lines that are nearly delimiters': `Content-Type: multipart/mixed; boundary=b\r\n\r\n${`--${' '.repeat(900)}x\r\n`.repeat(2000)}`,
    'nested messages over empty lines': `${'Content-Type: message/rfc822\r\n\r\n'.repeat(60)}${'\n'.repeat(1_000_000)}`,
    'one long field': `Content-Type: multipart/mixed; boundary="${' '.repeat(1_000_000)}x"\r\n\r\n`,
  };
  for (const [name, text] of Object.entries(cases)) {
    const octets = Buffer.from(text);
    const started = performance.now();
    bodyStructureText(octets, readMimeStructure(octets), true);
    assert.ok(performance.now() - started < 10_000, `${name} took ${performance.now() - started} ms`);
  }
});

test('messages of other libraries have a structure', (t) => {
  const suite = requireSuite(t, 'mime');
  if (!suite) return;
  const files = globSync(`${suite}/**/*.{eml,msg,txt}`);
  assert.ok(files.length > 20);
  for (const file of files) {
    const octets = readFileSync(file);
    const root = readMimeStructure(octets);
    checkNesting(root, 0, octets.length);
    assert.ok(balanced(bodyStructureText(octets, root, true)), file);
  }
});

function balanced(text: string): boolean {
  const bare = text.replace(/\{(\d+)\}\r\n/g, '').replace(/"(?:[^"\\]|\\.)*"/g, '');
  return bare.split('(').length === bare.split(')').length || /\{/.test(text);
}
