/** attachments: files by name and by what they are, in archives that 7-Zip and zip made and in hostile ones. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type TestSetup, testPlugin } from 'mailfilter/testing';
import attachments from '../../plugins/attachments/index.ts';
import { Inspection } from '../../plugins/attachments/inspect.ts';
import { judgeFileName } from '../../plugins/attachments/names.ts';
import { requireProgram } from '../kit/require.ts';

const limits = { depthMax: 3, filesMax: 1000, unpackedBytesMax: 4 * 1024 * 1024 };
const program = Buffer.from(`MZ\x90\0\x03\0\0\0${'\0'.repeat(100)}`, 'latin1');

/** `path: traits` of all that is found. */
async function look(name: string, octets: Buffer, more: Partial<typeof limits> = {}): Promise<string[]> {
  const inspection = new Inspection({ ...limits, ...more });
  await inspection.add([name], '', octets);
  return inspection.found.map(({ path, traits }) =>
    `${path.join(' > ')}: ${[...traits].sort().join(' ')}`.trim(),
  );
}

const names: readonly [name: string, want: string][] = [
  ['report.pdf', ''],
  ['setup.exe', 'executable'],
  ['SETUP.EXE', 'executable'],
  ['invoice.pdf.exe', 'executable disguised'],
  ['invoice.pdf                                   .scr', 'executable disguised'],
  ['ann\u202egpj.exe', 'executable disguised'],
  ['photo\u202ecod.scr.txt', 'disguised'],
  ['setup.exe.', 'executable disguised'],
  ['setup.exe ', 'executable disguised'],
  ['set\u200bup.e\u00adxe', 'executable'],
  ['setup.ｅｘｅ', 'executable'],
  ['a.exe::$DATA', 'executable disguised'],
  ['letter.docm', 'macros'],
  ['archive.tar.gz', ''],
  ['2026.11.21 minutes.txt', ''],
  ['page.html', ''],
  ['x.settingcontent-ms', 'executable'],
  ['disk.iso', 'executable'],
  ['dir.exe/readme.txt', ''],
  ['', ''],
];
for (const [name, want] of names) {
  test(`attachments by name: ${JSON.stringify(name)}`, () => {
    const { executable, disguised, macros } = judgeFileName(name);
    const found = [executable && 'executable', disguised && 'disguised', macros && 'macros'];
    assert.equal(found.filter(Boolean).join(' '), want);
  });
}

const longNames: readonly [name: string, octets: string][] = [
  ['blanks at the end', `a.exe${' '.repeat(500_000)}`],
  ['blanks in the middle', `a${' '.repeat(500_000)}.exe`],
  ['characters that grow', `${'\ufdfa'.repeat(500_000)}.exe`],
];
for (const [what, name] of longNames) {
  test(`attachments: a name of half a million characters is judged soon: ${what}`, {
    timeout: 60_000,
  }, async () => {
    const [found] = await look(name, Buffer.from('x'));
    assert.match(found!, /: .*executable/);
    assert.ok(found!.length < 1000);
  });
}

test('attachments: a 7z directory in which names might begin anywhere', { timeout: 60_000 }, async () => {
  const header = Buffer.from('11bfff00'.repeat(500_000), 'hex');
  header[0] = 1;
  const head = Buffer.alloc(32);
  head.write('7z\xbc\xaf\x27\x1c', 'latin1');
  head.writeBigUInt64LE(BigInt(header.length), 20);
  assert.deepEqual(await look('a.7z', Buffer.concat([head, header])), ['a.7z: archive unreadable']);
});

test('attachments: a program is one whatever it is called', async () => {
  assert.deepEqual(await look('a.bin', program), ['a.bin: executable']);
  assert.deepEqual(await look('photo.jpg', program), ['photo.jpg: disguised executable']);
  assert.deepEqual(await look('a', Buffer.from('\x7fELF\x02')), ['a: executable']);
  assert.deepEqual(await look('MZ.txt', Buffer.from('MZ is a text')), ['MZ.txt:']);
});

/** A folder with files, which 7-Zip or another program packs. */
function pack(
  t: TestContext,
  files: Readonly<Record<string, Buffer | string>>,
  command: string,
  ...args: string[]
): Buffer | undefined {
  const path = requireProgram(t, command);
  if (path === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'attachments-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  execFileSync(path, args, { cwd: folder, stdio: 'ignore' });
  return readFileSync(join(folder, args.find((arg) => arg.startsWith('out.'))!));
}

const two = { 'readme.txt': 'hello '.repeat(50), 'sub/setup.exe': program };
const packed: readonly [name: string, command: string, args: string[], want: string[]][] = [
  [
    'zip',
    '7zz',
    ['a', 'out.zip', 'readme.txt', 'sub'],
    ['out: archive', 'out > readme.txt:', 'out > sub/setup.exe: executable'],
  ],
  [
    'zip, a password',
    '7zz',
    ['a', '-pgeheim', 'out.zip', 'readme.txt', 'sub/setup.exe'],
    ['out: archive encrypted', 'out > readme.txt:', 'out > sub/setup.exe: executable'],
  ],
  [
    'zip, AES',
    '7zz',
    ['a', '-pgeheim', '-mem=AES256', 'out.zip', 'sub/setup.exe'],
    ['out: archive encrypted', 'out > sub/setup.exe: executable'],
  ],
  [
    'zip, LZMA',
    '7zz',
    ['a', '-mm=LZMA', 'out.zip', 'readme.txt'],
    ['out: archive unreadable', 'out > readme.txt:'],
  ],
  [
    'tar',
    'tar',
    ['cf', 'out.tar', 'readme.txt', 'sub/setup.exe'],
    ['out: archive', 'out > readme.txt:', 'out > sub/setup.exe: executable'],
  ],
  [
    'tar, pax',
    'tar',
    ['--format=pax', '-cf', 'out.tar', 'readme.txt', 'sub/setup.exe'],
    ['out: archive', 'out > readme.txt:', 'out > sub/setup.exe: executable'],
  ],
  [
    'tar.gz',
    'tar',
    ['czf', 'out.tgz', 'sub/setup.exe'],
    ['out: archive', 'out > out: archive', 'out > out > sub/setup.exe: executable'],
  ],
  [
    '7z, directory packed',
    '7zz',
    ['a', 'out.7z', 'readme.txt', 'sub/setup.exe'],
    ['out: archive unreadable'],
  ],
  [
    '7z, directory plain',
    '7zz',
    ['a', '-mhc=off', 'out.7z', 'readme.txt', 'sub/setup.exe'],
    ['out: archive', 'out > readme.txt:', 'out > sub/setup.exe: executable'],
  ],
  [
    '7z, files encrypted',
    '7zz',
    ['a', '-mhc=off', '-pgeheim', 'out.7z', 'readme.txt'],
    ['out: archive encrypted', 'out > readme.txt:'],
  ],
  [
    '7z, all encrypted',
    '7zz',
    ['a', '-mhe=on', '-pgeheim', 'out.7z', 'readme.txt'],
    ['out: archive encrypted unreadable'],
  ],
  [
    'xz',
    '7zz',
    ['a', 'out.xz', 'sub/setup.exe'],
    ['setup.exe.xz: archive unreadable', 'setup.exe.xz > setup.exe: executable'],
  ],
];
for (const [name, command, args, want] of packed) {
  test(`attachments in what a real program packed: ${name}`, async (t) => {
    const octets = pack(t, two, command, ...args);
    if (octets === undefined) return;
    assert.deepEqual(await look(want[0]!.split(':')[0]!, octets), want);
  });
}

test('attachments: a program under another name in an archive in an archive', async (t) => {
  const large = Buffer.concat([program, randomBytes(1000)]);
  const inner = pack(t, { 'photo.jpg': large }, '7zz', 'a', 'out.zip', 'photo.jpg');
  const outer = inner && pack(t, { 'inner.dat': inner }, '7zz', 'a', 'out.zip', 'inner.dat');
  if (outer === undefined) return;
  assert.deepEqual(await look('a.zip', outer), [
    'a.zip: archive',
    'a.zip > inner.dat: archive',
    'a.zip > inner.dat > photo.jpg: disguised executable',
  ]);
  assert.deepEqual(await look('a.zip', outer, { depthMax: 1 }), [
    'a.zip: archive',
    'a.zip > inner.dat: archive unreadable',
  ]);
  assert.deepEqual(await look('a.zip', outer, { unpackedBytesMax: 10 }), [
    'a.zip: archive unreadable',
    'a.zip > inner.dat:',
  ]);
});

test('attachments: documents with macros', async (t) => {
  const files = {
    '[Content_Types].xml': '<Types/>',
    'word/document.xml': '<x/>',
    'word/vbaProject.bin': ole(['Root Entry', 'VBA']),
  };
  const octets = pack(
    t,
    files,
    '7zz',
    'a',
    'out.zip',
    '[Content_Types].xml',
    'word/document.xml',
    'word/vbaProject.bin',
  );
  if (octets === undefined) return;
  const [document] = await look('letter.docx', octets);
  assert.equal(document, 'letter.docx: macros');
});

/** A compound file of one FAT sector and a directory of these names. */
function ole(entries: readonly string[]): Buffer {
  const octets = Buffer.alloc(512 * (2 + Math.ceil(entries.length / 4)));
  octets.write('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'latin1');
  octets.writeUInt16LE(9, 30);
  octets.writeUInt32LE(1, 48);
  octets.writeUInt32LE(0, 76);
  const sectors = Math.ceil(entries.length / 4);
  for (let n = 1; n <= sectors; n += 1) octets.writeUInt32LE(n === sectors ? 0xfffffffe : n + 1, 512 + 4 * n);
  for (const [index, name] of entries.entries()) {
    const at = 1024 + 128 * index;
    octets.write(name, at, 'utf16le');
    octets.writeUInt16LE(2 * name.length + 2, at + 64);
  }
  return octets;
}

test('attachments: streams of an OLE document', async () => {
  assert.deepEqual(await look('a.doc', ole(['Root Entry', 'WordDocument'])), ['a.doc:']);
  assert.deepEqual(await look('a.doc', ole(['Root Entry', 'WordDocument', '1Table', 'x', 'Macros', 'VBA'])), [
    'a.doc: macros',
  ]);
  assert.deepEqual(await look('a.docx', ole(['Root Entry', 'EncryptionInfo', 'EncryptedPackage'])), [
    'a.docx: encrypted',
  ]);
  const looping = ole(['Root Entry', 'a', 'b', 'c', 'd']);
  looping.writeUInt32LE(1, 512 + 4);
  assert.deepEqual(await look('a.doc', looping), ['a.doc: unreadable']);
});

/** RAR 4: a block of that type, flags, fields and data. */
function rar4(...blocks: readonly [type: number, flags: number, fields: Buffer][]): Buffer {
  const written = blocks.map(([type, flags, fields]) => {
    const head = Buffer.alloc(7);
    head[2] = type;
    head.writeUInt16LE(flags, 3);
    head.writeUInt16LE(7 + fields.length, 5);
    return Buffer.concat([head, fields]);
  });
  return Buffer.concat([Buffer.from('Rar!\x1a\x07\0', 'latin1'), ...written]);
}
function rar4File(name: string): Buffer {
  const fields = Buffer.alloc(25);
  fields.writeUInt16LE(name.length, 19);
  return Buffer.concat([fields, Buffer.from(name)]);
}
/** RAR 5: a block of numbers below 128 and octets. */
function rar5(...blocks: readonly (readonly (number | string)[])[]): Buffer {
  const written = blocks.map((parts) => {
    const content = Buffer.concat(
      parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))),
    );
    return Buffer.concat([Buffer.from([0, 0, 0, 0, content.length]), content]);
  });
  return Buffer.concat([Buffer.from('Rar!\x1a\x07\x01\0', 'latin1'), ...written]);
}
const rars: readonly [name: string, octets: Buffer, want: string[]][] = [
  [
    '4',
    rar4([0x73, 0, Buffer.alloc(6)], [0x74, 0, rar4File('a.exe')], [0x7b, 0, Buffer.alloc(0)]),
    ['x.rar: archive', 'x.rar > a.exe: executable'],
  ],
  [
    '4, a file encrypted',
    rar4([0x73, 0, Buffer.alloc(6)], [0x74, 4, rar4File('a.txt')], [0x7b, 0, Buffer.alloc(0)]),
    ['x.rar: archive encrypted', 'x.rar > a.txt:'],
  ],
  ['4, headers encrypted', rar4([0x73, 0x80, Buffer.alloc(6)]), ['x.rar: archive encrypted unreadable']],
  [
    '4, cut off',
    rar4([0x73, 0, Buffer.alloc(6)], [0x74, 0, rar4File('a.txt')]),
    ['x.rar: archive unreadable', 'x.rar > a.txt:'],
  ],
  [
    '5',
    rar5([1, 0, 0], [2, 2, 0, 0, 9, 0, 0, 0, 5, 'a.exe'], [5, 0]),
    ['x.rar: archive', 'x.rar > a.exe: executable'],
  ],
  [
    '5, a file encrypted',
    rar5([1, 0, 0], [2, 1, 3, 0, 9, 0, 0, 0, 5, 'a.txt', 2, 1, 0], [5, 0]),
    ['x.rar: archive encrypted', 'x.rar > a.txt:'],
  ],
  ['5, headers encrypted', rar5([4, 0, 0, 0, 0]), ['x.rar: archive encrypted unreadable']],
];
for (const [name, octets, want] of rars) {
  test(`attachments in a RAR archive: version ${name}`, async () => {
    assert.deepEqual(await look('x.rar', octets), want);
  });
}

test('attachments: an archive that would unpack to far too much is told, and not unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  assert.deepEqual(await look('a.gz', bomb), ['a.gz: archive unreadable', 'a.gz > a:']);
});

/** A zip file of stored files. */
function storedZip(...files: readonly (readonly [name: string, content: Buffer])[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of files) {
    const local = Buffer.alloc(30);
    local.write('PK\x03\x04', 'latin1');
    local.writeUInt32LE(content.length, 18);
    local.writeUInt32LE(content.length, 22);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.write('PK\x01\x02', 'latin1');
    central.writeUInt32LE(content.length, 20);
    central.writeUInt32LE(content.length, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(name), content);
    directory.push(central, Buffer.from(name));
    offset += 30 + name.length + content.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}

const prefix = Buffer.from('%PDF-1.4 some text\n'.repeat(50));
const behind: readonly [name: string, octets: Buffer, want: string[]][] = [
  ['zip', storedZip(['a.exe', program]), ['x: archive', 'x > a.exe: executable']],
  ['rar', rars[0]![1], ['x: archive', 'x > a.exe: executable']],
  ['7z', Buffer.from('7z\xbc\xaf\x27\x1c', 'latin1'), ['x: archive unreadable']],
];
for (const [name, octets, want] of behind) {
  test(`attachments: an archive behind other octets is one: ${name}`, async () => {
    const whole = Buffer.concat([prefix, octets]);
    assert.deepEqual(await look('x', whole), want);
    const inner = want.map((line) => `y.zip > ${line.replace(/^x/, 'x.zip')}`);
    assert.deepEqual((await look('y.zip', storedZip(['x.zip', whole]))).slice(1), inner);
  });
}

test('attachments: what is called an archive and is none that is known is unreadable', async () => {
  assert.deepEqual(await look('x.rar', prefix), ['x.rar: unreadable']);
  assert.deepEqual(await look('x.txt', prefix), ['x.txt:']);
});

test('attachments: a tar from before ustar is known by its sum', async (t) => {
  const octets = pack(t, two, 'tar', '--format=v7', '-cf', 'out.tar', 'sub/setup.exe');
  if (octets === undefined) return;
  assert.deepEqual(await look('x', octets), ['x: archive', 'x > sub/setup.exe: executable']);
  octets[0] = 0x74;
  assert.deepEqual(await look('x', octets), ['x:']);
});

const odf = ['mimetype', Buffer.from('application/vnd.oasis.opendocument.text')] as const;
const types = ['[Content_Types].xml', Buffer.from('<Types/>')] as const;
const emptyType = ['mimetype', Buffer.alloc(0)] as const;
const documents: readonly [name: string, octets: Buffer, want: string][] = [
  ['letter.odt', storedZip(odf, ['content.xml', prefix]), ''],
  ['letter', storedZip(odf, ['content.xml', prefix]), ''],
  ['letter.docx', storedZip(types, ['word/document.xml', prefix]), ''],
  ['letter.zip', storedZip(odf, ['content.xml', prefix]), 'archive'],
  ['letter.zip', storedZip(types, ['content.xml', prefix]), 'archive'],
  ['letter', storedZip(emptyType, ['content.xml', prefix]), 'archive'],
  ['letter', storedZip(['content.xml', prefix], odf), 'archive'],
];
for (const [name, octets, want] of documents) {
  const entries = want === '' ? 'a document' : 'an archive';
  test(`attachments: ${name} of ${octets.length} octets is ${entries}`, async () => {
    assert.equal((await look(name, octets))[0], `${name}: ${want}`.trim());
  });
}

test('attachments: what fails to unpack has used up what may be unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const zip = storedZip(['a.gz', bomb], ['b.gz', gzipSync(randomBytes(1000))]);
  assert.deepEqual(await look('x.zip', zip), [
    'x.zip: archive unreadable',
    'x.zip > a.gz: archive unreadable',
    'x.zip > a.gz > a:',
    'x.zip > b.gz:',
  ]);
});

test('attachments: folders count among the files that are looked at', async () => {
  const folders = Array.from({ length: 20 }, (_, n) => [`f${n}/`, Buffer.alloc(0)] as const);
  const zip = storedZip(...folders, ['a.exe', program]);
  assert.deepEqual(await look('x.zip', zip, { filesMax: 10 }), ['x.zip: archive unreadable']);
  assert.deepEqual(await look('x.zip', zip, { filesMax: 30 }), [
    'x.zip: archive',
    'x.zip > a.exe: executable',
  ]);
});

test('attachments: nothing is looked into when the time is over', async () => {
  const inspection = new Inspection({
    ...limits,
    inTime() {
      throw new Error('over');
    },
  });
  await assert.rejects(inspection.add(['x.zip'], '', storedZip(['a', program])), /over/);
});

test('attachments: a zip bomb by what its directory says', async (t) => {
  const octets = pack(
    t,
    { 'zeros.bin': Buffer.alloc(80 * 1024 * 1024) },
    '7zz',
    'a',
    '-mx1',
    'out.zip',
    'zeros.bin',
  );
  if (octets === undefined) return;
  assert.deepEqual(await look('a.zip', octets), ['a.zip: archive bomb', 'a.zip > zeros.bin:']);
});

test('attachments: more files than are looked at are told', async (t) => {
  const files = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`f${n}`, 'x']));
  const octets = pack(t, files, '7zz', 'a', 'out.zip', ...Object.keys(files));
  if (octets === undefined) return;
  const found = await look('a.zip', octets, { filesMax: 10 });
  assert.equal(found[0], 'a.zip: archive unreadable');
  assert.equal(found.length, 11);
});

test('attachments: whatever the octets are, there is an answer', async (t) => {
  const zip = pack(t, two, '7zz', 'a', 'out.zip', 'readme.txt', 'sub');
  const seven = pack(t, two, '7zz', 'a', '-mhc=off', 'out.7z', 'readme.txt', 'sub');
  if (zip === undefined || seven === undefined) return;
  const seeds = [
    zip,
    seven,
    ole(['Root Entry', 'VBA', 'a', 'b', 'c']),
    ...rars.map(([, octets]) => octets),
    gzipSync(program),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.nat(seeds.length - 1),
      fc.array(fc.tuple(fc.nat(100_000), fc.nat(255)), { maxLength: 8 }),
      fc.nat(100_000),
      async (seed, changes, cut) => {
        const octets = Buffer.from(seeds[seed]!);
        for (const [at, octet] of changes) octets[at % octets.length] = octet;
        const found = await look('x', octets.subarray(0, octets.length - (cut % 50)));
        assert.ok(found.length > 0 && found.length <= 1002);
      },
    ),
    { numRuns: 150 },
  );
});

type Options = NonNullable<TestSetup['options']>;

function message(parts: readonly string[], options: Options = {}, more: Partial<TestSetup> = {}) {
  const text = `From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n${parts.map((part) => `--b\n${part}\n`).join('')}--b--\n`;
  return testPlugin(attachments, { options, ...more }).message({ message: text });
}
const base64 = (octets: Buffer) => octets.toString('base64').replace(/.{76}/g, '$&\n');

const parts: readonly [name: string, part: string, want: string][] = [
  ['a name in Content-Disposition', 'Content-Disposition: attachment; filename="a.exe"\n\nx', 'a.exe'],
  ['a name in Content-Type', 'Content-Type: text/plain; name=a.exe\n\nx', 'a.exe'],
  [
    'a name in encoded words',
    'Content-Disposition: attachment; filename="=?utf-8?B?YS5leGU=?="\n\nx',
    'a.exe',
  ],
  [
    'a name by RFC 2231',
    "Content-Disposition: attachment; filename*0*=utf-8''a.%65; filename*1=xe\n\nx",
    'a.exe',
  ],
  [
    'one name beside another',
    "Content-Disposition: attachment; filename=a.exe; filename*=utf-8''a.txt\n\nx",
    'a.exe',
  ],
  [
    'two fields',
    'Content-Disposition: attachment; filename=a.txt\nContent-Disposition: attachment; filename=a.exe\n\nx',
    'a.exe',
  ],
  [
    'a program in base64',
    `Content-Type: image/jpeg; name=a.jpg\nContent-Transfer-Encoding: base64\n\n${base64(program)}`,
    'a.jpg',
  ],
  [
    'a program without a name',
    `Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n${base64(program)}`,
    '(no name)',
  ],
  ['uuencode', 'Content-Type: text/plain\n\nhello\nbegin 644 a.exe\nM\nend', 'a.exe'],
  [
    'uuencode in base64',
    `Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n${base64(Buffer.from('hello\nbegin 644 a.exe\nM\nend'))}`,
    'a.exe',
  ],
  ['in a message', 'Content-Type: message/rfc822\n\nContent-Type: application/x; name=a.exe\n\nx', 'a.exe'],
  [
    'in an encoded message',
    `Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${base64(Buffer.from('Content-Type: application/x; name=a.exe\n\nx'))}`,
    'a.exe',
  ],
];
for (const [name, part, want] of parts) {
  test(`attachments finds ${name}`, async () => {
    const { verdict } = await message(['Content-Type: text/plain\n\nhello', part]);
    assert.deepEqual(verdict, {
      action: 'reject',
      code: 554,
      enhanced: '5.7.1',
      text: `programs are not accepted here: ${want}`,
    });
  });
}

const nested = (depth: number): string =>
  depth === 0
    ? 'Content-Type: application/x; name=a.exe\n\nx'
    : `Content-Type: multipart/mixed; boundary=n${depth}\n\n--n${depth}\n${nested(depth - 1)}\n--n${depth}--`;
const dropped: readonly [name: string, part: string][] = [
  ['parts that lie too deep', nested(55)],
  [
    'more names than are read',
    `Content-Disposition: attachment${Array.from({ length: 12 }, (_, n) => `; filename=a${n}.txt`).join('')}${Array.from({ length: 12 }, (_, n) => `\nContent-Disposition: attachment; filename=b${n}.txt`).join('')}\n\nx`,
  ],
  [
    'more files in a text than are read',
    `Content-Type: text/plain\n\n${Array.from({ length: 21 }, (_, n) => `begin 644 a${n}.txt\nend\n`).join('')}`,
  ],
  [
    'a multipart that is encoded',
    `Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n${base64(Buffer.from('--x\nContent-Type: text/plain; name=a.exe\n\nx\n--x--\n'))}`,
  ],
];
for (const [name, part] of dropped) {
  test(`attachments never calls clean: ${name}`, async () => {
    const { answer } = await message([part]);
    assert.deepEqual(
      answer.symbols?.map((symbol) => symbol.name),
      ['ATTACHMENT_UNREADABLE'],
    );
  });
}

test('attachments: mail with documents and pictures passes', async () => {
  const { verdict, answer } = await message([
    'Content-Type: text/plain\n\nbegin with a word',
    'Content-Type: application/pdf; name=a.pdf\n\n%PDF-1.4',
    'Content-Type: image/png; name="minutes 2026.11.21.png"\n\nx',
  ]);
  assert.equal(verdict.action, 'continue');
  assert.deepEqual(answer.result, { files: 2, matched: [] });
});

const files = [
  'Content-Type: application/pdf; name="Invoice 12.pdf"\n\nx',
  'Content-Type: application/x-iwork; name=a.exe\n\nx',
];
const ruled: readonly [name: string, rules: Options['rules'], want: string][] = [
  ['an ending', [{ name: 'pdf', extensions: ['.PDF'] }], 'reject'],
  ['a name', [{ name: 'invoice', names: ['invoice*.p?f'], action: 'quarantine' }], 'quarantine'],
  ['a type', [{ name: 'type', types: ['application/x-*'] }], 'reject'],
  ['all conditions of one file', [{ name: 'both', extensions: ['pdf'], traits: ['executable'] }], 'continue'],
  [
    'the hardest action',
    [
      { name: 'a', extensions: ['pdf'], action: 'quarantine' },
      { name: 'b', extensions: ['exe'] },
    ],
    'reject',
  ],
  ['points', [{ name: 'a-b', extensions: ['pdf'], action: 'score', score: 1.5 }], 'continue'],
];
for (const [name, rules, want] of ruled) {
  test(`attachments rules: ${name}`, async () => {
    assert.equal((await message(files, { rules: rules! })).verdict.action, want);
  });
}

test('attachments: points and the result name rule and file', async () => {
  const { answer } = await message(files, {
    rules: [{ name: 'a-b', traits: ['executable'], action: 'score', score: 1.5 }],
  });
  assert.deepEqual(answer.symbols, [{ name: 'ATTACHMENT_A_B', score: 1.5, text: 'a.exe' }]);
  assert.deepEqual(answer.result, {
    files: 2,
    matched: [{ rule: 'a-b', file: 'a.exe', traits: ['executable'] }],
  });
});

const wrong: readonly [name: string, rules: Options['rules'], want: RegExp][] = [
  ['no condition', [{ name: 'all' }], /"all" says of no file/],
  ['an unknown trait', [{ name: 'a', traits: ['evil'] }], /traits/],
  [
    'the same name twice',
    [
      { name: 'a', names: ['a'] },
      { name: 'a', names: ['b'] },
    ],
    /"a" stands there twice/,
  ],
];
for (const [name, rules, want] of wrong) {
  test(`attachments refuses rules: ${name}`, async () => {
    await assert.rejects(async () => message(files, { rules: rules! }), want);
  });
}

for (const [tooLarge, action] of [
  ['reject', 'reject'],
  ['tempfail', 'tempfail'],
  ['quarantine', 'quarantine'],
  ['continue', 'continue'],
] as const) {
  test(`attachments: a message that is not looked into is never called clean: ${tooLarge}`, async () => {
    const { verdict, answer } = await message([`\n\n${'x'.repeat(2000)}`], {
      messageBytesMax: 1024,
      tooLarge,
    });
    assert.equal(verdict.action, action);
    assert.deepEqual(answer.result, { scanned: false, reason: 'size' });
  });
}
