/** What the extensions say of the cases at their edges. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ImapClient, type ImapServer, openImapServer, plainMessages } from '../../kit/imap-client.ts';

let server: ImapServer;
const ends: (() => unknown)[] = [];
before(async () => {
  server = await openImapServer({ after: (end) => ends.push(end as () => unknown) });
});
after(async () => {
  for (const end of ends.reverse()) await end();
  assert.deepEqual(server.bugs(), []);
});

async function clientWith(mailbox: string, count: number): Promise<ImapClient> {
  const client = await server.client();
  await client.select(mailbox, plainMessages(count));
  return client;
}

test('a mailbox that its own session renames stays selected, with what was saved of it', async () => {
  const client = await clientWith('renamed/inner', 3);
  const other = await server.client();
  await other.ok('SELECT renamed/inner');
  await client.ok('SEARCH RETURN (SAVE) 2:3');
  await client.ok('RENAME renamed later');
  assert.match(await client.ok('FETCH $ UID'), /^\* 2 FETCH \(UID 2\)\n\* 3 FETCH \(UID 3\)\nOK/);
  assert.match(await client.append('later/inner', 'Subject: x\n\n'), /^\* 4 EXISTS\n/m);
  await client.ok('STORE 1 +FLAGS.SILENT (\\Deleted)');
  assert.match(await client.ok('EXPUNGE'), /^\* 1 EXPUNGE\n/);
  assert.match(await other.say('NOOP'), /^\* BYE /);
});

test('SEARCH that is refused with NO leaves nothing saved. RFC 5182 section 2.1', async () => {
  const client = await clientWith('unsaved', 3);
  await client.ok('SEARCH RETURN (SAVE) 1:2');
  await client.refused('SEARCH RETURN (SAVE) NONSENSE', 'BAD');
  assert.match(await client.ok('SEARCH $'), /^\* SEARCH 1 2\n/);
  await client.refused('UID SEARCH RETURN (SAVE) CHARSET X-NONE ALL', 'NO [BADCHARSET');
  assert.match(await client.ok('SEARCH $'), /^\* SEARCH\n/);
});

test('special uses are metadata as well. RFC 6154 section 4', async () => {
  const client = await clientWith('uses', 0);
  await client.ok('SETMETADATA uses (/private/specialuse "\\\\Junk" /private/comment "spam")');
  assert.match(await client.ok('LIST (SPECIAL-USE) "" *'), /^\* LIST \(.*\\Junk\) "\/" uses\nOK/);
  assert.match(
    await client.ok('GETMETADATA (DEPTH infinity) uses /private'),
    /^\* METADATA uses \(\/private\/comment "spam" \/private\/specialuse "\\\\Junk"\)\n/,
  );
  await client.refused('SETMETADATA uses (/private/specialuse "\\\\Other")', 'NO [USEATTR]');
  await client.ok('SETMETADATA uses (/private/specialuse NIL)');
  assert.match(await client.ok('LIST (SPECIAL-USE) "" *'), /^OK/);
  assert.match(await client.ok('GETMETADATA uses /private/specialuse'), /specialuse NIL\)/);
});

test('a subscribed name that is not there speaks through its parents. RFC 5258 section 3.5', async () => {
  const client = await server.client();
  await client.ok('SUBSCRIBE ghost/of/mail');
  assert.match(
    await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "gh%"'),
    /^\* LIST \(\\NonExistent .*\) "\/" ghost \("CHILDINFO" \("SUBSCRIBED"\)\)\nOK/,
  );
});

test('NOTIFY has one event group for the selected mailbox', async () => {
  const client = await clientWith('notified', 1);
  const events = '(MessageNew MessageExpunge)';
  await client.refused(`NOTIFY SET (selected ${events}) (selected-delayed ${events})`, 'BAD');
  await client.ok(`NOTIFY SET (selected-delayed ${events}) (inboxes ${events})`);
});

test('entry names of METADATA', async () => {
  const client = await server.client();
  for (const name of ['/other/x', '/private/a//b', '/private/a/', '/privatex', 'private/x', '/private'])
    await client.refused(`SETMETADATA "" (${name} "x")`, 'BAD');
});
