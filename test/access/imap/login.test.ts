/** Logging in over IMAP, what is offered before and after TLS and login, and what ends a session. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { certificate } from '../../kit/door.ts';
import { type ImapClient, openImapServer } from '../../kit/imap-client.ts';
import { ImapWire } from '../../kit/imap-values.ts';

async function capabilities(client: ImapClient): Promise<string[]> {
  return (await client.ok('CAPABILITY')).split('\n')[0]!.replace('* CAPABILITY ', '').split(' ');
}

/** The client after STARTTLS. */
async function secured(client: ImapClient): Promise<ImapWire> {
  await client.ok('STARTTLS');
  const { socket } = client.wire;
  socket.removeAllListeners('data');
  const tls = connectTls({ socket, ca: readFileSync(certificate().certFile), servername: 'mx.example.test' });
  await new Promise((resolve) => tls.once('secureConnect', resolve));
  return new ImapWire(tls);
}

test('without TLS no password is taken, and CAPABILITY says so', async (t) => {
  const server = await openImapServer(t, { listener: { tls: 'starttls', authWithoutTls: false } });
  const client = await server.stranger();
  const before = await capabilities(client);
  assert.ok(before.includes('STARTTLS') && before.includes('LOGINDISABLED') && before.includes('IMAP4rev2'));
  assert.deepEqual(
    before.filter((each) => each.startsWith('AUTH=') || each === 'IDLE'),
    [],
  );
  await client.refused('LOGIN alice@example.test secret', 'NO [PRIVACYREQUIRED]');
  await client.refused('AUTHENTICATE PLAIN', 'NO [PRIVACYREQUIRED]');
  const wire = await secured(client);
  const [after] = await wire.command('a', 'CAPABILITY');
  assert.match(after!, / AUTH=PLAIN/);
  assert.doesNotMatch(after!, /STARTTLS|LOGINDISABLED/);
  const [loggedIn] = await wire.command('b', 'LOGIN alice@example.test secret');
  assert.match(loggedIn!, /^b OK \[CAPABILITY .* IDLE /);
  assert.doesNotMatch(loggedIn!, /AUTH=|STARTTLS/);
  assert.match((await wire.command('c', 'STARTTLS'))[0]!, /^c BAD/);
});

test('commands that were sent in clear behind STARTTLS are not run', async (t) => {
  const server = await openImapServer(t, { listener: { tls: 'starttls', authWithoutTls: false } });
  const client = await server.stranger();
  client.wire.send('a STARTTLS\r\nb LOGIN alice@example.test secret\r\n');
  const heard = [await client.wire.response(), await client.wire.response()].join('\n');
  assert.doesNotMatch(heard, /b /);
});

test('AUTHENTICATE with and without an initial response, cancelled, broken, wrong', async (t) => {
  const server = await openImapServer(t);
  const plain = Buffer.from('\0alice@example.test\0secret').toString('base64');
  const one = await server.stranger();
  await one.ok(`AUTHENTICATE PLAIN ${plain}`);
  const two = await server.stranger();
  two.wire.send('x AUTHENTICATE PLAIN\r\n');
  assert.equal(await two.wire.response(), '+ ');
  two.wire.send('*\r\n');
  assert.match(await two.wire.response(), /^x BAD /);
  two.wire.send(`y AUTHENTICATE PLAIN\r\n${plain}\r\n`);
  assert.equal(await two.wire.response(), '+ ');
  assert.match(await two.wire.response(), /^y OK \[CAPABILITY/);
  const three = await server.stranger();
  await three.refused('AUTHENTICATE NONSENSE', 'NO');
  await three.refused('AUTHENTICATE PLAIN !!!', 'BAD');
  await three.refused('LOGIN alice@example.test wrong', 'NO [AUTHENTICATIONFAILED]');
  await three.refused('LOGIN nobody@example.test wrong', 'NO [AUTHENTICATIONFAILED]');
  const last = await three.say('LOGIN alice@example.test wrong');
  assert.match(last, /^\* BYE too many failed logins\nNO \[AUTHENTICATIONFAILED\]/);
  assert.equal(await three.wire.response(), '');
});

test('LOGOUT says goodbye, and a mailbox that is deleted under a session ends it', async (t) => {
  const server = await openImapServer(t);
  const client = await server.client();
  assert.match(await client.say('LOGOUT'), /^\* BYE .*\nOK LOGOUT completed$/);
  assert.equal(await client.wire.response(), '');
  const one = await server.client();
  const two = await server.client();
  await one.select('gone');
  await two.ok('DELETE gone');
  const heard = await one.say('NOOP');
  assert.match(heard, /BYE/);
});
