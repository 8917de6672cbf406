/** The parser of IMAP commands: what it takes, what it refuses and with which code, and that nothing else comes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands } from '../../../src/access/imap/commands.ts';
import { listPattern } from '../../../src/access/imap/list-pattern.ts';
import { parseCommand } from '../../../src/access/imap/parse/command.ts';
import { Cursor } from '../../../src/access/imap/parse/cursor.ts';
import { readFetchItems } from '../../../src/access/imap/parse/fetch-item.ts';
import { readMessageUrl } from '../../../src/access/imap/parse/message-url.ts';
import { takePartial } from '../../../src/access/imap/parse/partial.ts';
import { readSearchKeys } from '../../../src/access/imap/parse/search-key.ts';
import { parseSet, resolveSet } from '../../../src/access/imap/parse/sequence-set.ts';
import { Refusal } from '../../../src/access/imap/refusal.ts';
import { astringText, dateTimeText, setText } from '../../../src/access/imap/write/text.ts';
import { randomSource } from '../../kit/random.ts';

/** One of each form, for every command: also where the random ones begin. */
const real = [
  'CAPABILITY',
  'NOOP',
  'CHECK',
  'LOGOUT',
  'STARTTLS',
  'LOGIN alice "se\\"cret"',
  'LOGIN {5}\r\nalice {6+}\r\nsecret',
  'AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==',
  'AUTHENTICATE SCRAM-SHA-256 =',
  'ENABLE CONDSTORE QRESYNC',
  'UNAUTHENTICATE',
  'ID ("name" "x" "version" NIL)',
  'ID NIL',
  'SELECT INBOX',
  'SELECT "a b" (CONDSTORE)',
  'EXAMINE x (QRESYNC (1 20 1:5,7 (1:2 3:4)))',
  'CREATE a/b (USE (\\Drafts \\Sent))',
  'DELETE a',
  'RENAME a {1}\r\nb',
  'SUBSCRIBE a',
  'UNSUBSCRIBE a',
  'LIST "" *',
  'LIST (SUBSCRIBED RECURSIVEMATCH) "" (a% "b*") RETURN (CHILDREN STATUS (MESSAGES SIZE) METADATA (/shared/x))',
  'LSUB "" %',
  'NAMESPACE',
  'STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ APPENDLIMIT)',
  'IDLE',
  'CLOSE',
  'UNSELECT',
  'EXPUNGE',
  'UID EXPUNGE 1:*',
  'SEARCH RETURN (MIN PARTIAL 1:10 SAVE) CHARSET UTF-8 OR (FROM a SINCE 1-Jan-2020) NOT $ 1:3',
  'UID SEARCH MODSEQ "/flags/\\\\draft" all 620 TEXT {3}\r\nabc',
  'FETCH 1:5,* (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (a "b c")]<0.10> BINARY[1] PREVIEW (LAZY))',
  'UID FETCH 1:* FULL (CHANGEDSINCE 1 VANISHED PARTIAL -1:-10)',
  'STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen kw)',
  'UID STORE $ FLAGS \\Seen \\Draft',
  'COPY 1:2 a',
  'UID MOVE 1 "b"',
  'SORT RETURN (ALL) (REVERSE DATE SUBJECT) UTF-8 ALL',
  'UID THREAD REFERENCES US-ASCII SEEN',
  'CANCELUPDATE "a1" "a2"',
  'ESEARCH IN (mailboxes ("a" b) subtree c) RETURN (COUNT) UNSEEN',
  'NOTIFY SET STATUS (selected (MessageNew (FLAGS) MessageExpunge)) (subtree (a b) (MailboxName)) (inboxes NONE)',
  'NOTIFY NONE',
  'COMPRESS DEFLATE',
  'GETQUOTA ""',
  'GETQUOTAROOT INBOX',
  'SETQUOTA "" (STORAGE 512)',
  'GETMETADATA (MAXSIZE 10 DEPTH infinity) INBOX (/shared/a /private/b)',
  'SETMETADATA INBOX (/private/a "x" /shared/b NIL /shared/c ~{2}\r\nzz)',
  'GETACL a',
  'SETACL a b +lr',
  'DELETEACL a b',
  'LISTRIGHTS a b',
  'MYRIGHTS a',
  'UIDBATCHES 1000 1:5',
];

test('every form of every command is taken', () => {
  const seen = new Set<string>();
  for (const text of real) seen.add(parseCommand(`a1 ${text}`).command.name);
  const streamed = ['APPEND', 'REPLACE'];
  assert.deepEqual(
    [...commands.keys()].filter((name) => !seen.has(name) && !streamed.includes(name)),
    [],
  );
});

const refused: readonly (readonly [text: string, want: RegExp])[] = [
  ['', /a tag/],
  ['a', /a space/],
  ['a1 ', /an atom/],
  ['a1 XYZ', /not known/],
  ['a1 UID NOOP', /not known/],
  ['+a NOOP', /a tag/],
  ['a1 NOOP ', /nothing more/],
  ['a1 LOGIN a', /a space/],
  ['a1 LOGIN "a b', /quoted string/],
  ['a1 LOGIN "a\\x" b', /quoted string/],
  ['a1 LOGIN {9}\r\nab c', /literal/],
  ['a1 FETCH 0 FLAGS', /set of numbers/],
  ['a1 FETCH 1:2:3 FLAGS', /set of numbers/],
  ['a1 FETCH 4294967296 FLAGS', /too large/],
  ['a1 FETCH 1 ()', /nothing to fetch/],
  ['a1 FETCH 1 BODY[1.MIME.2]', /no such section/],
  ['a1 FETCH 1 BODY[1.MIME x]', /"]"/],
  ['a1 FETCH 1 BODY[MIME]', /part number/],
  ['a1 FETCH 1 BODY[]<5.0>', /must not be 0/],
  ['a1 FETCH 1 BODY[HEADER.FIELDS ({2}\r\n\r\n)]', /field name/],
  ['a1 UID FETCH 1 FLAGS (VANISHED)', /CHANGEDSINCE/],
  ['a1 STORE 1 FLAGS (\\Recent)', /no flag/],
  ['a1 STORE 1 FLAG (\\Seen)', /FLAGS was/],
  ['a1 SEARCH SINCE 31-Feb-2026', /no such day/],
  ['a1 SEARCH ()', /an atom/],
  ['a1 SEARCH CHARSET X ALL', /charset/],
  ['a1 SETMETADATA a (/x "1")', /entry name/],
  ['a1 SELECT a (FOO)', /no parameter/],
  ['a1 SEARCH RETURN (PARTIAL 1:-5) ALL', /partial range/],
  ['a1 SEARCH RETURN (ALL PARTIAL 1:5) ALL', /exclude/],
  ['a1 STATUS a ()', /an atom/],
  ['a1 NOTIFY SET (selected (MessageNew))', /go together/],
  ['a1 UIDBATCHES 0', /must not be 0/],
];

test('what breaks the grammar is refused, and says where', () => {
  for (const [text, want] of refused) {
    assert.throws(
      () => parseCommand(text),
      (error) => error instanceof Refusal && want.test(error.message),
      text,
    );
  }
});

test('nesting, lists and sets are bounded', () => {
  const hostile = [
    `a1 SEARCH ${'('.repeat(30_000)}`,
    `a1 SEARCH ${'NOT '.repeat(10_000)}ALL`,
    `a1 SEARCH ${'OR '.repeat(10_000)}`,
    `a1 FETCH ${'1,'.repeat(30_000)}1 FLAGS`,
    `a1 FETCH 1 (${'FLAGS '.repeat(20_000)}FLAGS)`,
    `a1 FETCH 1 BODY[${'1.'.repeat(1000)}1]`,
    `a1 FETCH 1 BODY[HEADER.FIELDS (${'a '.repeat(20_000)}a)]`,
    `a1 SEARCH MODSEQ ${'9'.repeat(60_000)}`,
  ];
  for (const text of hostile) {
    const started = performance.now();
    assert.throws(() => parseCommand(text), Refusal, text.slice(0, 40));
    assert.ok(performance.now() - started < 5000, text.slice(0, 40));
  }
});

test('random changes of real commands are taken or refused, never anything else', () => {
  const random = randomSource('imap parser');
  const pieces = [
    '(',
    ')',
    '"',
    '{3}\r\n',
    '{3+}\r\n',
    '~{1}\r\n',
    ' ',
    '*',
    '$',
    '\\',
    '[',
    ']',
    '<',
    '>',
    '\0',
    '\xff',
    'NIL',
    '1:*',
    '4294967295',
    ',',
    '\r\n',
    '.',
    '-',
  ];
  for (let round = 0; round < 30_000; round += 1) {
    let text = `a1 ${random.pick(real)}`;
    for (let change = random.below(4); change >= 0; change -= 1) {
      const at = random.below(text.length + 1);
      const cut = random.below(3) === 0 ? random.below(8) : 0;
      const other = random.below(4) === 0 ? random.pick(real).slice(random.below(10)) : random.pick(pieces);
      text = text.slice(0, at) + other + text.slice(at + cut);
    }
    try {
      parseCommand(text);
    } catch (error) {
      assert.ok(error instanceof Refusal, `${JSON.stringify(text)}: ${error}`);
    }
  }
});

test('sets are resolved, merged and written', () => {
  const cases: readonly (readonly [set: string, largest: number, want: string])[] = [
    ['1:3,5', 9, '1:3,5'],
    ['5:3,4:7,9', 9, '3:7,9'],
    ['*', 9, '9'],
    ['*:3', 9, '3:9'],
    ['12:*', 9, '9:12'],
  ];
  for (const [set, largest, want] of cases) {
    const parsed = parseSet(set);
    assert.ok(parsed !== 'saved');
    const ranges = resolveSet(parsed, largest);
    assert.equal(ranges.map(({ first, last }) => (first === last ? first : `${first}:${last}`)).join(), want);
  }
  assert.equal(setText([1, 2, 3, 7, 9, 10]), '1:3,7,9:10');
  assert.equal(setText([5, 6, 2]), '5:6,2');
  assert.equal(setText([]), '');
});

test('pages of a result', () => {
  const numbers = Uint32Array.from([10, 20, 30, 40]);
  const page = (first: number, last: number) => [...takePartial(numbers, { first, last, written: '' })];
  assert.deepEqual(page(1, 2), [10, 20]);
  assert.deepEqual(page(3, 9), [30, 40]);
  assert.deepEqual(page(-1, -2), [30, 40]);
  assert.deepEqual(page(-2, -9), [10, 20, 30]);
  assert.deepEqual(page(5, 6), []);
});

test('values are written so that they are read again', () => {
  assert.equal(astringText('INBOX'), 'INBOX');
  assert.equal(astringText(''), '""');
  assert.equal(astringText('nil'), '"nil"');
  assert.equal(astringText('a "b"'), '"a \\"b\\""');
  assert.equal(astringText('a\xc3\xa4'), '{3}\r\na\xc3\xa4');
  assert.equal(dateTimeText(Date.UTC(2026, 1, 3, 4, 5, 6)), '" 3-Feb-2026 04:05:06 +0000"');
  const random = randomSource('imap strings');
  for (let round = 0; round < 500; round += 1) {
    const octets = random.bytes(random.below(20)).toString('latin1').replaceAll('\0', '');
    assert.equal(new Cursor(astringText(octets)).astring(), octets);
  }
});

test('search keys become trees', () => {
  const tree = (text: string) => readSearchKeys(new Cursor(text), 'utf-8');
  assert.deepEqual(tree('UNSEEN'), { key: 'not', of: { key: 'flag', flag: '\\Seen' } });
  assert.deepEqual(tree('OR 1 (SUBJECT "a" OLDER 5)'), {
    key: 'or',
    of: [
      { key: 'set', set: [[1, 1]], uid: false },
      {
        key: 'and',
        of: [
          { key: 'header', name: 'subject', value: 'a' },
          { key: 'older', seconds: 5 },
        ],
      },
    ],
  });
  assert.deepEqual(tree('SENTON 1-Feb-2026'), { key: 'on', of: 'sent', day: '2026-02-01' });
});

test('items asked for twice are told once', () => {
  assert.equal(readFetchItems(new Cursor('(FLAGS UID FLAGS)')).length, 2);
  assert.equal(readFetchItems(new Cursor('FULL')).length, 5);
});

test('URLs of messages', () => {
  const url = readMessageUrl('imap://u@h/a%20b;UIDVALIDITY=3/;UID=20/;SECTION=1.2.MIME/;PARTIAL=5.10');
  assert.deepEqual(url, {
    mailbox: 'a b',
    uidValidity: 3,
    uid: 20,
    section: { path: [1, 2], of: 'mime', names: [] },
    partial: { start: 5, length: 10 },
  });
  assert.equal(readMessageUrl('/INBOX/;UID=1')?.mailbox, 'INBOX');
  for (const text of ['', 'http://x/;UID=1/x', '/a;UID=0', '/a%zz/;UID=1', '/a/;UID=1/;SECTION=NONSENSE']) {
    assert.equal(readMessageUrl(text), undefined, text);
  }
});

test('mailbox patterns', () => {
  const cases: readonly (readonly [pattern: string, name: string, want: boolean])[] = [
    ['*', 'a/b', true],
    ['%', 'a/b', false],
    ['%/%', 'a/b', true],
    ['a*b', 'a/x/b', true],
    ['a%b', 'a/b', false],
    ['inbox', 'INBOX', true],
    ['in%', 'INBOX', false],
    ['%*%', 'a/b', true],
    ['', 'a', false],
  ];
  for (const [pattern, name, want] of cases)
    assert.equal(listPattern(pattern)(name), want, `${pattern} ${name}`);
  const started = performance.now();
  assert.equal(listPattern('*a'.repeat(200))(`${'a'.repeat(250)}b`), false);
  assert.ok(performance.now() - started < 5000);
});
