/** Clients that mean harm, or are broken: bounded in memory and time, and nobody else notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';
import { imapLimits } from '../../../core/base/limits/access.ts';
import { openImapServer, plainMessages } from '../../kit/imap-client.ts';
import { randomSource } from '../../kit/random.ts';

test('before login: long lines, large literals, floods of nonsense', async (t) => {
  const server = await openImapServer(t);
  const long = await server.stranger();
  long.wire.send('x'.repeat(200_000));
  assert.match(await long.wire.response(), /^\* BYE \[TOOBIG\] line too long/);
  assert.equal(await long.wire.response(), '');
  const literal = await server.stranger();
  await literal.refused('LOGIN {1000000}', 'NO [TOOBIG]');
  await literal.refused('LOGIN {20000+}\r\n'.concat('x'.repeat(20_000), ' b'), 'NO [TOOBIG]');
  await literal.ok('LOGIN alice@example.test secret');
  const nonsense = await server.stranger();
  nonsense.wire.send('nonsense\r\n'.repeat(500));
  let answers = 0;
  while ((await nonsense.wire.response()) !== '') answers += 1;
  assert.ok(answers < 60, `${answers} answers`);
  const append = await server.stranger();
  await append.refused('APPEND INBOX {99999999}', 'NO [TOOBIG]');
});

test('after login: literals over the limit are refused, pushed or not, and the session goes on', async (t) => {
  const server = await openImapServer(t, { limits: { messageBytesMax: 10_000 } });
  const client = await server.client();
  await client.refused('APPEND INBOX {10001}', 'NO [TOOBIG]');
  await client.refused(`APPEND INBOX {10001+}\r\n${'x'.repeat(10_001)}`, 'NO [TOOBIG]');
  await client.refused(`APPEND INBOX {5+}\r\nhello {10001+}\r\n${'x'.repeat(10_001)}`, 'NO [TOOBIG]');
  assert.match(await client.ok('STATUS INBOX (MESSAGES)'), /MESSAGES 0\)/);
  assert.match(await client.ok('CAPABILITY'), / APPENDLIMIT=10000 /);
  const huge = await server.client();
  huge.wire.send('a APPEND INBOX {4000000000+}\r\n');
  assert.match(await huge.wire.response(), /^\* BYE \[TOOBIG\]/);
});

test('a client that does not read is not read for', async (t) => {
  const server = await openImapServer(t);
  const client = await server.client();
  const line = `${'x'.repeat(70)}\n`;
  await client.append('INBOX', `Subject: big\n\n${line.repeat(30_000)}`);
  await client.ok('SELECT INBOX');
  const before = process.memoryUsage().rss;
  client.wire.socket.pause();
  for (let at = 0; at < 200; at += 1) client.wire.send(`b${at} FETCH 1 BODY.PEEK[]\r\n`);
  await delay(1500);
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 150, `400 MB asked for, ${grown.toFixed(0)} MB held`);
  const other = await server.client();
  await other.ok('NOOP');
});

test('what inflates to a lot is read as slowly as anything', async (t) => {
  const server = await openImapServer(t);
  const client = await server.client();
  await client.ok('COMPRESS DEFLATE');
  // Answers come compressed from here on.
  const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
  const deflate = createDeflateRaw({ flush: constants.Z_SYNC_FLUSH });
  client.wire.socket.removeAllListeners('data');
  client.wire.socket.pipe(inflate);
  deflate.pipe(client.wire.socket);
  let heard = '';
  inflate.on('data', (chunk) => {
    heard += chunk;
  });
  deflate.write('a NOOP\r\n');
  await delay(200);
  assert.match(heard, /a OK NOOP/);
  deflate.write('a CAPABILITY\r\n');
  deflate.write(Buffer.alloc(50_000_000, 'x'));
  await delay(1500);
  assert.doesNotMatch(heard, / COMPRESS=DEFLATE/);
  assert.match(heard, /\* BYE \[TOOBIG\]/);
});

test('random commands in every state end in an answer, and no bug is logged', async (t) => {
  const server = await openImapServer(t);
  const random = randomSource('imap session');
  const words = [
    '1',
    '1:*',
    '*',
    '$',
    'INBOX',
    'x',
    '(FLAGS)',
    'BODY[]',
    'ALL',
    '(\\Seen)',
    '+FLAGS',
    '"a"',
    '{1+}\r\nz',
    '(MESSAGES)',
    'RETURN',
    '(SAVE)',
    'UTF-8',
    '(SUBJECT)',
    'REFERENCES',
    'NIL',
    '""',
    '%',
    '4294967295',
    '(QRESYNC (1 1))',
    'CATENATE (TEXT {1+}\r\nz)',
  ];
  const names = [
    'NOOP',
    'LIST',
    'STATUS',
    'SELECT',
    'EXAMINE',
    'FETCH',
    'UID FETCH',
    'STORE',
    'UID STORE',
    'COPY',
    'UID MOVE',
    'SEARCH',
    'UID SEARCH',
    'SORT',
    'THREAD',
    'EXPUNGE',
    'UID EXPUNGE',
    'APPEND',
    'REPLACE',
    'CREATE',
    'DELETE',
    'RENAME',
    'CLOSE',
    'UNSELECT',
    'ENABLE CONDSTORE',
    'NAMESPACE',
    'GETMETADATA',
    'ESEARCH',
    'NOTIFY NONE',
    'UIDBATCHES',
  ];
  for (let round = 0; round < 4; round += 1) {
    const client = await server.client();
    for (const message of plainMessages(3)) await client.append('INBOX', message);
    for (let step = 0; step < 150; step += 1) {
      // Nonsense alone would end the session.
      if (step % 20 === 0) await client.ok('NOOP');
      const command = [
        random.pick(names),
        ...Array.from({ length: random.below(5) }, () => random.pick(words)),
      ].join(' ');
      const heard = await client.say(command);
      assert.match(heard, /(?:^|\n)(?:OK|NO|BAD) [^\n]*$/, `${command}\n${heard}`);
    }
    client.close();
  }
  assert.deepEqual(server.bugs(), []);
});

test('who waits long for an answer is told that it goes on', async (t) => {
  const server = await openImapServer(t);
  const client = await server.client();
  const message = `Subject: large\n\n${'text\n'.repeat(300_000)}`;
  await client.select('slow', [message, message, message]);
  t.mock.timers.enable({ apis: ['setInterval'] });
  const tag = client.tag();
  client.wire.send(`${tag} FETCH 1:* BODY.PEEK[]\r\n`);
  let isAnswered = false;
  const answer = client.answer(tag).finally(() => {
    isAnswered = true;
  });
  // Such messages come one by one from another thread: the command lasts some turns of this one, each of them ten seconds here.
  while (!isAnswered) {
    t.mock.timers.tick(imapLimits.progressMs);
    await nextTurn();
  }
  const heard = await answer;
  // RFC 9585 section 4.
  assert.match(heard, new RegExp(`^\\* OK \\[INPROGRESS \\("${tag}" NIL NIL\\)\\] `, 'm'));
  assert.match(heard, /OK FETCH completed$/);
});
