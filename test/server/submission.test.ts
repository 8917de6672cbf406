/** Mail of our own users: login, own addresses only, what is completed and what is taken out. RFC 6409. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { password } from '../kit/server.ts';
import { MailClient } from './mail-client.ts';
import { inboxOf, openServer, type WholeServer } from './observe.ts';

let server: WholeServer;
before(async () => {
  server = await openServer();
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

async function loggedIn(user = 'alice@example.test'): Promise<MailClient> {
  const client = await MailClient.open(server.ports.submission!);
  assert.match(await client.login(user, password), /^235 2\.7\.0 /);
  return client;
}

test('without a login no mail is taken', async () => {
  const client = await MailClient.open(server.ports.submission!);
  const [mail] = await client.envelope({ from: 'alice@example.test', to: ['bob@example.test'] });
  assert.match(mail!, /^530 5\.7\.0 /);
  assert.match(await client.login('alice@example.test', 'wrong'), /^535 5\.7\.8 /);
  assert.match(await client.login('nobody@example.test', password), /^535 5\.7\.8 /);
  await client.quit();
});

test('only own addresses in MAIL FROM, From and Sender', async () => {
  const client = await loggedIn();
  const [mail] = await client.envelope({ from: 'bob@example.test', to: ['carol@example.test'] });
  assert.match(mail!, /^553 5\.7\.1 /);
  await client.say('RSET');
  const foreign = ['From: bob@example.test', 'From: alice@example.test\nSender: bob@example.test'];
  for (const fields of foreign) {
    const message = `${fields}\nSubject: forged\n\nbody\n`;
    const [reply] = await client.send({ from: 'alice@example.test', to: ['carol@example.test'], message });
    assert.match(reply!, /^550 5\.7\.1 /, fields);
  }
  assert.deepEqual(inboxOf(server, 'carol'), []);
  const alias = 'postmaster@example.test';
  const message = `From: ${alias}\nSubject: by alias\n\nbody\n`;
  const [reply] = await client.send({ from: alias, to: ['carol@example.test'], message });
  assert.match(reply!, /^250 /);
  await client.quit();
});

test('Bcc and where the client sits are taken out, Date and Message-ID put in', async () => {
  const client = await loggedIn();
  const message = [
    'From: Alice <alice@example.test>',
    'To: bob@example.test',
    'Bcc: carol@example.test,',
    '\tsecret@elsewhere.example',
    'Subject: plain words',
    'X-Originating-IP: [192.0.2.77]',
    'User-Agent: Secret Mailer 7',
    '',
    'User-Agent: this is text',
    '',
  ].join('\n');
  const to = ['bob@example.test'];
  const [reply] = await client.send({ from: 'alice@example.test', to, message });
  assert.match(reply!, /^250 /);
  await client.quit();
  const [copy] = inboxOf(server, 'bob').map((octets) => octets.toString('latin1'));
  const header = copy!.slice(0, copy!.indexOf('\n\n'));
  for (const secret of [
    'Bcc',
    'carol',
    'secret@',
    '192.0.2.77',
    'Secret Mailer',
    '127.0.0.1',
    'client.example',
  ]) {
    assert.ok(!header.includes(secret), `${secret} is in\n${header}`);
  }
  assert.match(
    header,
    /^Received: from authenticated-user \(unknown\)\n\tby mx\.example\.test\n\twith ESMTPA\n/m,
  );
  assert.match(header, /^Date: \w{3}, \d{1,2} \w{3} \d{4} /m);
  assert.match(header, /^Message-ID: <[^<>@\s]+@mx\.example\.test>$/m);
  assert.ok(copy!.endsWith('\n\nUser-Agent: this is text\n'));
});

test('after a login the other doors are still closed: no relay route, no relay', async () => {
  const client = await loggedIn();
  const replies = await client.envelope({ from: 'alice@example.test', to: ['x@elsewhere.example'] });
  assert.match(replies[1]!, /^550 5\.7\.1 /);
  await client.quit();
});
