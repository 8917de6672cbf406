/** The extensions of IMAP, each as a client meets it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { twoUsers } from '../../kit/access-door.ts';
import { type ImapClient, type ImapServer, openImapServer, plainMessages } from '../../kit/imap-client.ts';

let server: ImapServer;
const ends: (() => unknown)[] = [];
before(async () => {
  server = await openImapServer({ after: (end) => ends.push(end as () => unknown) });
});
after(async () => {
  for (const end of ends.reverse()) await end();
});

async function clientWith(mailbox: string, count: number): Promise<ImapClient> {
  const client = await server.client();
  await client.select(mailbox, plainMessages(count));
  return client;
}

test('ENABLE, ID, NAMESPACE and states', async () => {
  const client = await server.client();
  assert.match(await client.ok('ENABLE CONDSTORE X-NONE'), /^\* ENABLED CONDSTORE\n/);
  assert.match(await client.ok('ID ("name" "test" "version" NIL)'), /^\* ID \("name" "mailfilter"\)/);
  assert.match(await client.ok('ID NIL'), /^\* ID /);
  assert.match(await client.ok('NAMESPACE'), /^\* NAMESPACE \(\("" "\/"\)\) NIL NIL\n/);
  await client.refused('FETCH 1 FLAGS', 'BAD');
  await client.refused('LOGIN a b', 'BAD');
  await client.refused('NONSENSE', 'BAD');
  await client.refused('UID NOOP', 'BAD');
});

test('CONDSTORE: modseqs are told, and STORE UNCHANGEDSINCE leaves alone what changed', async () => {
  const client = await clientWith('condstore', 3);
  const told = await client.ok('FETCH 1:3 MODSEQ');
  assert.match(told, /^\* OK \[HIGHESTMODSEQ \d+\]/);
  const [, modseq] = /MODSEQ \((\d+)\)/.exec(told)!;
  assert.match(
    await client.ok('STORE 1 +FLAGS.SILENT (\\Seen)'),
    /^\* 1 FETCH \(UID \d+ MODSEQ \(\d+\)\)\nOK/,
  );
  const highest = Math.max(...[...told.matchAll(/MODSEQ \((\d+)\)/g)].map((match) => Number(match[1])));
  const heard = await client.say(`STORE 1:2 (UNCHANGEDSINCE ${highest}) +FLAGS.SILENT (\\Flagged)`);
  assert.match(heard, /^\* 2 FETCH \(UID \d+ MODSEQ \(\d+\)\)\nOK \[MODIFIED 1\]/);
  const changed = await client.ok(`FETCH 1:* (FLAGS) (CHANGEDSINCE ${highest})`);
  assert.equal(changed.match(/FETCH \(FLAGS/g)?.length, 2);
  assert.match(await client.ok(`SEARCH MODSEQ ${highest + 1}`), /^\* SEARCH 1 2 \(MODSEQ \d+\)/);
  assert.match(await client.ok('STATUS condstore (HIGHESTMODSEQ)'), /HIGHESTMODSEQ \d+/);
  // RFC 4731 section 3.2: of what is told.
  const modseqs = [...(await client.ok('FETCH 1:3 MODSEQ')).matchAll(/MODSEQ \((\d+)\)/g)].map((match) =>
    Number(match[1]),
  );
  const search = async (what: string) =>
    Number(/MODSEQ (\d+)\n/.exec(await client.ok(`SEARCH RETURN (${what}) MODSEQ 1`))![1]);
  assert.equal(await search('MIN'), modseqs[0]);
  assert.equal(await search('MAX'), modseqs[2]);
  assert.equal(await search('MIN MAX'), Math.max(modseqs[0]!, modseqs[2]!));
  assert.equal(await search('MAX COUNT'), Math.max(...modseqs));
  assert.ok(Number(modseq) > 0);
});

test('QRESYNC: a client that comes back hears what vanished and what changed', async () => {
  const client = await clientWith('qresync', 5);
  await client.ok('ENABLE QRESYNC');
  const selected = await client.ok('SELECT qresync');
  const validity = /UIDVALIDITY (\d+)/.exec(selected)![1];
  const modseq = /HIGHESTMODSEQ (\d+)/.exec(selected)![1];
  await client.ok('STORE 2,4 +FLAGS.SILENT (\\Deleted)');
  assert.match(await client.ok('EXPUNGE'), /^\* VANISHED 2,4\nOK \[HIGHESTMODSEQ \d+\]/);
  await client.ok('STORE 1 +FLAGS (\\Answered)');
  const back = await server.client();
  await back.ok('ENABLE QRESYNC');
  const heard = await back.ok(`SELECT qresync (QRESYNC (${validity} ${modseq} 1:5))`);
  assert.match(heard, /\n\* VANISHED \(EARLIER\) 2,4\n/);
  assert.match(heard, /\n\* 1 FETCH \(UID 1 FLAGS \(\\Answered\) MODSEQ \(\d+\)\)\n/);
  assert.doesNotMatch(heard, /FETCH \(UID 3/);
  const vanished = await back.ok(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${modseq} VANISHED)`);
  assert.match(vanished, /^\* VANISHED \(EARLIER\) 2,4\n/);
  const other = await server.client();
  await other.refused(`SELECT qresync (QRESYNC (${validity} ${modseq}))`, 'BAD');
});

test('ESEARCH, SEARCHRES and PARTIAL', async () => {
  const client = await clientWith('esearch', 6);
  await client.ok('STORE 2,3,5 +FLAGS.SILENT (\\Flagged)');
  assert.match(
    await client.ok('SEARCH RETURN (MIN MAX COUNT ALL) FLAGGED'),
    /ESEARCH \(TAG "c\d+"\) MIN 2 MAX 5 ALL 2:3,5 COUNT 3\n/,
  );
  assert.match(await client.ok('UID SEARCH RETURN () FLAGGED'), /\) UID ALL 2:3,5\n/);
  assert.match(await client.ok('SEARCH RETURN (COUNT) KEYWORD none'), /\) COUNT 0\n/);
  assert.match(await client.ok('SEARCH RETURN (SAVE) FLAGGED'), /^OK/);
  assert.match(await client.ok('FETCH $ UID'), /^\* 2 FETCH .*\n\* 3 FETCH .*\n\* 5 FETCH .*\nOK/);
  assert.match(await client.ok('SEARCH RETURN (ALL) UID $ NOT 3'), /ALL 2,5\n/);
  assert.match(await client.ok('UID SEARCH RETURN (PARTIAL -1:-2) ALL'), /UID PARTIAL \(-1:-2 5:6\)\n/);
  assert.match(await client.ok('UID SEARCH RETURN (PARTIAL 100:200) ALL'), /PARTIAL \(100:200 NIL\)\n/);
  assert.match(await client.ok('UID FETCH 1:* (UID) (PARTIAL 2:3)'), /^\* 2 FETCH .*\n\* 3 FETCH .*\nOK/);
  assert.match(await client.ok('SEARCH RETURN (MIN SAVE) ALL'), /MIN 1\n/);
  assert.match(await client.ok('SEARCH $'), /^\* SEARCH 1\n/);
});

test('SORT, SORT=DISPLAY, ESORT and THREAD', async () => {
  const client = await server.client();
  await client.select('sort', [
    'Subject: b\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nFrom: "Zoe" <a@example.test>\nMessage-ID: <1@x>\n\nx\n',
    'Subject: Re: a\nDate: Sat, 21 Nov 2026 09:00:00 +0000\nFrom: b@example.test\nMessage-ID: <2@x>\nIn-Reply-To: <1@x>\n\nxxx\n',
    'Subject: c\nDate: Sat, 21 Nov 2026 11:00:00 +0000\nFrom: "Ann" <z@example.test>\nMessage-ID: <3@x>\nReferences: <1@x> <2@x>\n\nxx\n',
  ]);
  assert.match(await client.ok('SORT (SUBJECT) UTF-8 ALL'), /^\* SORT 2 1 3\n/);
  assert.match(await client.ok('SORT (REVERSE DATE) US-ASCII ALL'), /^\* SORT 3 1 2\n/);
  assert.match(await client.ok('SORT (DISPLAYFROM) UTF-8 ALL'), /^\* SORT 3 2 1\n/);
  assert.match(await client.ok('UID SORT RETURN (COUNT ALL) (FROM) UTF-8 ALL'), /UID ALL 1:3 COUNT 3\n/);
  assert.match(await client.ok('SORT RETURN (MIN MAX SAVE) (SUBJECT) UTF-8 ALL'), /\) MIN 2 MAX 3\n/);
  assert.match(await client.ok('SEARCH $'), /^\* SEARCH 2 3\n/);
  assert.match(await client.ok('THREAD REFERENCES UTF-8 ALL'), /^\* THREAD \(1 2 3\)\n/);
  assert.match(await client.ok('UID THREAD ORDEREDSUBJECT UTF-8 ALL'), /^\* THREAD \(2\)\(1\)\(3\)\n/);
  await client.refused('SORT (SIZE) X-NOT-THERE ALL', 'NO [BADCHARSET');
});

test('SORT by address: groups, quotes, names with commas, addresses without domain', async () => {
  const client = await server.client();
  const from = ['"q r"@x', 'group: z@x;', 'bare', '=?utf-8?q?C=2C_d?= <a@x>', 'undisclosed:;'];
  await client.select(
    'sort-from',
    from.map((value, at) => `From: ${value}\nSubject: ${at}\n\nx\n`),
  );
  assert.match(await client.ok('SORT (FROM) UTF-8 ALL'), /^\* SORT 4 3 2 1 5\n/);
  assert.match(await client.ok('SORT (DISPLAYFROM) UTF-8 ALL'), /^\* SORT 3 4 2 1 5\n/);
  // All came within a second or two: what INTERNALDATE tells as equal stays in its order.
  const dates = await client.ok('FETCH 1:5 INTERNALDATE');
  const told = [...dates.matchAll(/INTERNALDATE "([^"]+)"/g)].map((match) => Date.parse(match[1]!));
  const numbers = [1, 2, 3, 4, 5].sort((a, b) => told[b - 1]! - told[a - 1]! || a - b);
  assert.ok(
    (await client.ok('SORT (REVERSE ARRIVAL) UTF-8 ALL')).startsWith(`* SORT ${numbers.join(' ')}\n`),
  );
});

test('searches: fuzzy, within, save dates, ids, charsets, nesting', async () => {
  const client = await server.client();
  await client.select('search', [
    'Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\n\nBody here\n',
    'Subject: plain\n\nother\n',
  ]);
  const umlaut = Buffer.from('grüße', 'utf8').toString('latin1');
  assert.match(
    await client.ok(`SEARCH CHARSET UTF-8 SUBJECT {${umlaut.length}+}\r\n${umlaut}`),
    /^\* SEARCH 1\n/,
  );
  assert.match(await client.ok('SEARCH CHARSET ISO-8859-1 SUBJECT "gr\u00fc\u00dfe"'), /^\* SEARCH 1\n/);
  assert.match(await client.ok('SEARCH FUZZY BODY "body"'), /^\* SEARCH 1\n/);
  assert.match(await client.ok('SEARCH YOUNGER 3600 NOT OLDER 3600'), /^\* SEARCH 1 2\n/);
  assert.match(await client.ok('SEARCH SAVEDSINCE 1-Jan-2020 SAVEDATESUPPORTED'), /^\* SEARCH 1 2\n/);
  const id = /EMAILID \((\S+)\)/.exec(await client.ok('FETCH 1 (EMAILID THREADID)'))![1];
  assert.match(await client.ok(`SEARCH EMAILID ${id}`), /^\* SEARCH 1\n/);
  assert.match(await client.ok('SEARCH OR (SUBJECT plain) (NOT ALL)'), /^\* SEARCH 2\n/);
  await client.refused(`SEARCH ${'NOT '.repeat(60)}ALL`, 'BAD [LIMIT]');
  await client.refused('SEARCH CHARSET X-NONE ALL', 'NO [BADCHARSET');
});

test('BINARY, PREVIEW, SAVEDATE, partial sections', async () => {
  const client = await server.client();
  const part = 'Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVs\nbG8A\n';
  await client.select('binary', [
    `MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n${part}--b\nContent-Transfer-Encoding: x-none\n\nx\n--b--\n`,
  ]);
  assert.match(await client.ok('FETCH 1 BINARY.PEEK[1]'), /BINARY\[1\] ~\{6\}\nhello\0\)/);
  assert.match(await client.ok('FETCH 1 BINARY.SIZE[1]'), /BINARY.SIZE\[1\] 6\)/);
  assert.match(await client.ok('FETCH 1 BINARY.PEEK[1]<1.3>'), /BINARY\[1\]<1> \{3\}\nell\)/);
  await client.refused('FETCH 1 BINARY.PEEK[2]', 'NO [UNKNOWN-CTE]');
  assert.match(await client.ok('FETCH 1 BODY.PEEK[1.MIME]'), /\{63\}/);
  assert.match(await client.ok('FETCH 1 BODY.PEEK[9]'), /BODY\[9\] NIL\)/);
  assert.match(await client.ok('FETCH 1 (PREVIEW (LAZY) SAVEDATE)'), /PREVIEW "hello"? .*SAVEDATE "/);
  assert.match(
    await client.ok('FETCH 1 BODY.PEEK[HEADER.FIELDS (MIME-Version "X Y")]'),
    /BODY\[HEADER.FIELDS \(MIME-Version "X Y"\)\] \{21\}/,
  );
});

test('APPEND: several, flags and dates, CATENATE, REPLACE', async () => {
  const client = await clientWith('append', 2);
  const many = await client.ok(
    'APPEND append (\\Seen) "21-Nov-2026 10:00:00 +0100" {3+}\r\na\r\n {3+}\r\nb\r\n',
  );
  assert.match(many, /\* 4 EXISTS[\s\S]*OK \[APPENDUID \d+ 3:4\]/);
  assert.match(
    await client.ok('FETCH 3 (FLAGS INTERNALDATE)'),
    /FLAGS \(\\Seen(?: \\Recent)?\) INTERNALDATE "21-Nov-2026 09:00:00 \+0000"/,
  );
  await client.refused('APPEND append {3+}\r\na\r\n {0+}\r\n', 'NO');
  assert.match(await client.ok('STATUS append (MESSAGES)'), /MESSAGES 4/);
  const put = await client.ok(
    'APPEND append CATENATE (URL "/append/;UID=1/;SECTION=HEADER" TEXT {6+}\r\nnew!\r\n)',
  );
  assert.match(put, /APPENDUID \d+ 5\]/);
  assert.match(await client.ok('FETCH 5 BODY.PEEK[]'), /Subject: m1\nFrom: f1@example.test\n\nnew!\n/);
  await client.refused('APPEND append CATENATE (URL "/append/;UID=999")', 'NO [BADURL "/append/;UID=999"]');
  const replaced = await client.ok('REPLACE 1 append {3+}\r\nz\r\n');
  assert.match(replaced, /\* OK \[APPENDUID \d+ 6\][\s\S]*\* 1 EXPUNGE/);
  await client.refused('APPEND nowhere {3+}\r\na\r\n', 'NO [TRYCREATE]');
  assert.match(await client.ok('APPEND append UTF8 (~{3+}\r\nz\r\n)'), /APPENDUID/);
});

test('COPY and MOVE tell the UIDs, and the mta', async () => {
  const client = await clientWith('copy', 4);
  await client.ok('CREATE copied');
  assert.match(await client.ok('COPY 1:2 copied'), /^OK \[COPYUID \d+ 1:2 1:2\]/);
  assert.match(
    await client.ok('MOVE 2,4 copied'),
    /^\* OK \[COPYUID \d+ 2,4 3:4\] .*\n\* 4 EXPUNGE\n\* 2 EXPUNGE\nOK/,
  );
  await client.refused('COPY 1 nowhere', 'NO [TRYCREATE]');
  assert.match(await client.ok('UID COPY 999 copied'), /^OK There/);
  await client.refused('COPY 9 copied', 'BAD');
  await delay(200);
  assert.ok(server.moved.some(({ from, to }) => from === 'copy' && to === 'copied'));
});

test('UIDONLY: no message numbers any more', async () => {
  const client = await clientWith('uidonly', 3);
  await client.ok('ENABLE UIDONLY');
  await client.refused('FETCH 1 FLAGS', 'BAD [UIDREQUIRED]');
  await client.refused('UID SEARCH 1', 'BAD [UIDREQUIRED]');
  assert.match(await client.ok('UID FETCH 2 (FLAGS)'), /^\* 2 UIDFETCH \(FLAGS \((?:\\Recent)?\)\)\nOK/);
  assert.match(
    await client.ok('UID STORE 2 +FLAGS (\\Deleted)'),
    /^\* 2 UIDFETCH \(FLAGS \(\\Deleted(?: \\Recent)?\)\)\n/,
  );
  assert.match(await client.ok('EXPUNGE'), /^\* VANISHED 2\n/);
});

test('IMAP4rev2: ESEARCH for SEARCH, UTF-8 names, no RECENT', async () => {
  const client = await server.client();
  await client.ok('CREATE "Entw&APw-rfe"');
  await client.ok('ENABLE IMAP4rev2');
  const name = Buffer.from('Entwürfe').toString('latin1');
  assert.match(await client.ok('LIST "" Entw*'), new RegExp(`"/" (?:"${name}"|\\{9\\}\n${name})`));
  await client.append(`"${name}"`, 'a: b\n\nx\n');
  const selected = await client.ok(`SELECT "${name}"`);
  assert.doesNotMatch(selected, /RECENT|UNSEEN/);
  assert.match(selected, /\* LIST \(/);
  assert.match(await client.ok('SEARCH ALL'), /^\* ESEARCH \(TAG "c\d+"\) ALL 1\n/);
});

test('LIST-EXTENDED, SPECIAL-USE, LIST-STATUS, LIST-METADATA, LIST-MYRIGHTS', async () => {
  const client = await server.client();
  await client.ok('CREATE lx/child');
  await client.ok('CREATE lx/drafts (USE (\\Drafts))');
  await client.ok('SUBSCRIBE lx/child');
  await client.ok('SUBSCRIBE lx/gone');
  const listed = await client.ok('LIST (SUBSCRIBED) "" lx/%');
  assert.match(listed, /\* LIST \(\\Subscribed \\HasNoChildren\) "\/" lx\/child\n/);
  assert.match(listed, /\* LIST \(\\NonExistent \\Noselect \\Subscribed \\HasNoChildren\) "\/" lx\/gone\n/);
  assert.match(
    await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" lx'),
    /\* LIST \(\\Noselect \\HasChildren\) "\/" lx \("CHILDINFO" \("SUBSCRIBED"\)\)\n/,
  );
  assert.match(await client.ok('LIST (SPECIAL-USE) "" *'), /\\Drafts\) "\/" lx\/drafts\n/);
  const status = await client.ok(
    'LIST "" (lx/child lx/drafts) RETURN (STATUS (MESSAGES UIDNEXT) MYRIGHTS SUBSCRIBED)',
  );
  assert.match(status, /\* STATUS lx\/child \(MESSAGES 0 UIDNEXT 1\)\n/);
  assert.match(status, /\* MYRIGHTS lx\/child lrswipkxtea\n/);
  await client.ok('SETMETADATA lx/child (/shared/comment "hi")');
  assert.match(
    await client.ok('LIST "" lx/child RETURN (METADATA (/shared/comment))'),
    /\* METADATA lx\/child \(\/shared\/comment "hi"\)\n/,
  );
  await client.refused('LIST (RECURSIVEMATCH) "" *', 'BAD');
  await client.refused('CREATE lx/bad (USE (\\Nonsense))', 'NO [USEATTR]');
});

test('METADATA, ACL and QUOTA', async () => {
  const client = await server.client();
  await client.ok('CREATE meta');
  await client.ok('SETMETADATA meta (/private/comment "mine" /private/vendor/x/y {3+}\r\na"b)');
  assert.match(
    await client.ok('GETMETADATA meta (/private/comment)'),
    /\* METADATA meta \(\/private\/comment "mine"\)\n/,
  );
  assert.match(
    await client.ok('GETMETADATA (DEPTH infinity) meta /private/vendor'),
    /\/private\/vendor\/x\/y "a\\"b"\)\n/,
  );
  assert.match(
    await client.ok('GETMETADATA (MAXSIZE 2) meta /private/comment'),
    /^OK \[METADATA LONGENTRIES 4\]/,
  );
  await client.ok('SETMETADATA meta (/private/binary ~{3+}\r\na\0b)');
  assert.match(await client.ok('GETMETADATA meta /private/binary'), /\(\/private\/binary ~\{3\}\na\0b\)\n/);
  await client.ok('SETMETADATA meta (/private/comment NIL)');
  assert.match(await client.ok('GETMETADATA meta /private/comment'), /\(\/private\/comment NIL\)/);
  await client.ok('SETMETADATA "" (/shared/admin "mailto:a@b")');
  assert.match(
    await client.ok('GETMETADATA "" /shared/admin'),
    /\* METADATA "" \(\/shared\/admin "mailto:a@b"\)/,
  );
  await client.refused('SETMETADATA meta (/other/x "1")', 'BAD');
  await client.ok('SETACL meta bob@example.test lr');
  await client.ok('SETACL meta bob@example.test +s');
  assert.match(
    await client.ok('GETACL meta'),
    /\* ACL meta alice@example.test lrswipkxtea bob@example.test lrs\n/,
  );
  assert.match(await client.ok('MYRIGHTS meta'), /\* MYRIGHTS meta lrswipkxtea\n/);
  assert.match(
    await client.ok('LISTRIGHTS meta bob@example.test'),
    /\* LISTRIGHTS meta bob@example.test "" l r s/,
  );
  await client.ok('DELETEACL meta bob@example.test');
  assert.doesNotMatch(await client.ok('GETACL meta'), /bob/);
  await client.refused('GETACL nowhere', 'NO [NONEXISTENT]');
  assert.match(await client.ok('GETQUOTAROOT INBOX'), /\* QUOTAROOT INBOX "user"\n\* QUOTA "user" \(/);
  await client.refused('SETQUOTA "user" (STORAGE 1)', 'NO [NOPERM]');
});

test('UIDBATCHES: ranges without gaps, from the highest UID down to 1', async () => {
  const client = await clientWith('batches', 1);
  const message = 'Subject: x\r\n\r\n';
  const many = Array.from({ length: 599 }, () => ` {${message.length}+}\r\n${message}`).join('');
  await client.ok(`APPEND batches${many}`);
  await client.ok('STORE 1,100,600 +FLAGS.SILENT (\\Deleted)');
  await client.ok('EXPUNGE');
  assert.match(await client.ok('UIDBATCHES 500'), /^\* UIDBATCHES \(TAG "c\d+"\) 599:99,98:1\n/);
  assert.match(await client.ok('UIDBATCHES 500 2:3'), /^\* UIDBATCHES \(TAG "c\d+"\) 98:1\n/);
  assert.match(await client.ok('UIDBATCHES 1000'), /^\* UIDBATCHES \(TAG "c\d+"\) 599:1\n/);
  assert.match(await client.ok('UIDBATCHES 500 3:4'), /^\* UIDBATCHES \(TAG "c\d+"\)\nOK/);
  await client.refused('UIDBATCHES 10', 'NO [TOOFEW]');
  await client.refused('UIDBATCHES 500 4:3', 'BAD [CLIENTBUG]');
  await client.refused('UIDBATCHES 500 4', 'BAD');
});

test('MULTISEARCH', async () => {
  const client = await server.client();
  await client.select('multi/a', plainMessages(2));
  await client.select('multi/b', plainMessages(3));
  const heard = await client.ok('ESEARCH IN (subtree multi) RETURN (COUNT ALL) SUBJECT m2');
  assert.match(heard, /\* ESEARCH \(TAG "c\d+" MAILBOX multi\/a UIDVALIDITY \d+\) UID ALL 2 COUNT 1\n/);
  assert.match(heard, /MAILBOX multi\/b UIDVALIDITY \d+\) UID ALL 2 COUNT 1\n/);
  assert.match(
    await client.ok('ESEARCH IN (mailboxes (multi/a)) SUBJECT m'),
    /MAILBOX multi\/a .* UID ALL 1:2\n/,
  );
  await client.refused('ESEARCH IN (personal) RETURN (SAVE) ALL', 'BAD');
});

test('CONTEXT: a result is kept up to date', async () => {
  const client = await clientWith('context', 3);
  const tag = client.tag();
  client.wire.send(`${tag} SEARCH RETURN (UPDATE ALL) UNFLAGGED\r\n`);
  assert.match(await client.answer(tag), /ALL 1:3\n/);
  assert.match(
    await client.ok('STORE 2 +FLAGS (\\Flagged)'),
    new RegExp(`ESEARCH \\(TAG "${tag}"\\) REMOVEFROM \\(0 2\\)`),
  );
  assert.match(await client.ok('STORE 2 -FLAGS (\\Flagged)'), /ADDTO \(0 2\)/);
  await client.ok('STORE 1 +FLAGS.SILENT (\\Deleted)');
  assert.match(await client.ok('EXPUNGE'), /REMOVEFROM \(0 1\)\n\* 1 EXPUNGE/);
  await client.ok(`CANCELUPDATE "${tag}"`);
  assert.doesNotMatch(await client.ok('STORE 1 +FLAGS (\\Flagged)'), /REMOVEFROM/);
});

test('IDLE tells what others do, and DONE ends it', async () => {
  const client = await clientWith('idle', 2);
  const other = await server.client();
  await other.ok('SELECT idle');
  client.wire.send('i1 IDLE\r\n');
  assert.equal(await client.wire.response(), '+ idling');
  await other.append('idle', 'a: b\n\nx\n');
  assert.equal(await client.wire.response(), '* 3 EXISTS');
  assert.match(await client.wire.response(), /RECENT/);
  await other.ok('STORE 1 +FLAGS (\\Deleted)');
  assert.match(await client.wire.response(), /^\* 1 FETCH \(UID 1 FLAGS \(\\Deleted/);
  await other.ok('EXPUNGE');
  assert.equal(await client.wire.response(), '* 1 EXPUNGE');
  client.wire.send('DONE\r\n');
  assert.match(await client.answer('i1'), /OK Idle/);
});

test('NOTIFY tells what was asked for; the rest waits for a command', async () => {
  const client = await clientWith('notify-flags', 2);
  await client.ok('NOTIFY SET (selected (MessageNew MessageExpunge))');
  const other = await server.client();
  await other.ok('SELECT notify-flags');
  await other.ok('STORE 1 +FLAGS (\\Flagged)');
  await other.append('notify-flags', 'a: b\n\nx\n');
  assert.equal(await client.wire.response(), '* 3 EXISTS');
  assert.match(await client.wire.response(), /^\* \d RECENT/);
  assert.match(await client.ok('NOOP'), /^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged(?: \\Recent)?\)\)\n/);
  await client.ok('NOTIFY SET (selected NONE)');
  await other.append('notify-flags', 'a: b\n\nx\n');
  await other.ok('NOOP');
  assert.match(await client.ok('NOOP'), /^\* 4 EXISTS/);
});

test('NOTIFY tells of other mailboxes, of new ones, and fetches what comes', async () => {
  const client = await clientWith('notify', 1);
  const other = await server.client();
  await other.ok('CREATE notified');
  const set = await client.ok(
    'NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge)) (subtree notified (MessageNew MessageExpunge MailboxName))',
  );
  assert.match(set, /\* STATUS notified \(MESSAGES 0/);
  await other.append('notified', 'a: b\n\nx\n');
  assert.match(await client.wire.response(), /^\* STATUS notified \(MESSAGES 1 UIDNEXT 2/);
  await other.append('notify', 'a: b\n\nx\n');
  assert.equal(await client.wire.response(), '* 2 EXISTS');
  assert.match(await client.wire.response(), /RECENT/);
  assert.match(await client.wire.response(), /^\* 2 FETCH \(UID 2 FLAGS/);
  await other.ok('CREATE notified/new');
  assert.match(await client.wire.response(), /^\* LIST .* notified\/new$/);
  await other.ok('SUBSCRIBE notified/new');
  await other.ok('DELETE notified/new');
  const gone = '* LIST (\\NonExistent) "/" notified/new';
  let heard: string;
  do heard = await client.wire.response();
  while (heard !== gone && heard !== '');
  assert.equal(heard, gone);
  await client.refused('NOTIFY SET (personal (AnnotationChange))', 'NO [BADEVENT');
  await client.ok('NOTIFY NONE');
});

test('UNAUTHENTICATE, UNSELECT and CLOSE', async () => {
  const client = await clientWith('close', 2);
  await client.ok('STORE 1 +FLAGS (\\Deleted)');
  await client.ok('UNSELECT');
  assert.match(await client.ok('STATUS close (MESSAGES DELETED)'), /MESSAGES 2 DELETED 1/);
  await client.ok('SELECT close');
  assert.match(await client.ok('CLOSE'), /^OK/);
  assert.match(await client.ok('STATUS close (MESSAGES)'), /MESSAGES 1/);
  await client.ok('UNAUTHENTICATE');
  await client.refused('SELECT close', 'BAD');
  await client.ok('LOGIN bob@example.test other');
  await client.refused('SELECT close', 'NO [NONEXISTENT]');
});

test('EXAMINE changes nothing', async () => {
  const client = await clientWith('examine', 2);
  assert.match(
    await client.ok('EXAMINE examine'),
    /\* OK \[CLOSED\][\s\S]*PERMANENTFLAGS \(\)[\s\S]*OK \[READ-ONLY\]/,
  );
  await client.refused('STORE 1 +FLAGS (\\Seen)', 'NO');
  await client.refused('EXPUNGE', 'NO');
  await client.ok('FETCH 1 BODY[]');
  assert.match(await client.ok('FETCH 1 FLAGS'), /FLAGS \((?:\\Recent)?\)/);
});

test('a full mailbox refuses APPEND and COPY with OVERQUOTA, and tells how full it is', async (t) => {
  const users = twoUsers();
  const limited = await openImapServer(t, {
    users: {
      ...users,
      authenticate: async (address, password) => {
        const user = await users.authenticate(address, password);
        return user && { ...user, quotaBytes: 4096 };
      },
    },
  });
  const client = await limited.client();
  await client.append('INBOX', `Subject: big\n\n${'x'.repeat(2500)}\n`);
  assert.match(await client.ok('GETQUOTAROOT INBOX'), /\* QUOTA "user" \(STORAGE 3 4\)\n/);
  await client.refused(`APPEND INBOX {2000+}\r\n${'y'.repeat(2000)}`, 'NO [OVERQUOTA]');
  await client.ok('CREATE other');
  await client.ok('SELECT INBOX');
  await client.refused('COPY 1 other', 'NO [OVERQUOTA]');
  await client.ok('MOVE 1 other');
  assert.match(await client.ok('STATUS other (MESSAGES SIZE)'), /MESSAGES 1 SIZE 2\d{3}\)/);
});
