/** Who a listed proxy speaks for, by XCLIENT or PROXY. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MailClient } from './mail-client.ts';
import { idIn, inboxOf, openServer, traceOf } from './observe.ts';

const message = 'Subject: proxied\n\nbody\n';
const to = ['alice@example.test'];

test('XCLIENT from a listed address puts another client in its place, once', async () => {
  await using server = await openServer({ config: { xclientFrom: ['127.0.0.1/32'] } });
  const client = await MailClient.open(server.ports.smtp!);
  const greeting = await client.say('XCLIENT ADDR=192.0.2.9 NAME=mail.other.example HELO=helo.other.example');
  assert.match(greeting, /^220 /);
  const [reply] = await client.send({ to, message });
  const { connection } = await traceOf(server, idIn(reply));
  assert.deepEqual([connection.remoteIp, connection.remoteName], ['192.0.2.9', 'mail.other.example']);
  const [copy] = inboxOf(server, 'alice');
  assert.match(
    copy!.toString(),
    /^Received: from helo\.other\.example \(mail\.other\.example \[192\.0\.2\.9\]\)/m,
  );
  assert.match(await client.say('XCLIENT ADDR=127.0.0.1'), /^5\d\d 5\./);
  await client.quit();
});

test('a PROXY header from a listed address is required and believed, version 1 and 2', async () => {
  await using server = await openServer({ config: { proxyFrom: ['127.0.0.1/32'] } });
  const headers = {
    '192.0.2.10': Buffer.from('PROXY TCP4 192.0.2.10 198.51.100.1 4000 25\r\n'),
    '2001:db8::25': Buffer.concat([
      Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
      Buffer.of(0x21, 0x21, 0, 36),
      Buffer.from('20010db8000000000000000000000025', 'hex'),
      Buffer.from('20010db8000000000000000000000001', 'hex'),
      Buffer.of(0x0f, 0xa0, 0, 25),
    ]),
  };
  for (const [ip, header] of Object.entries(headers)) {
    const client = await MailClient.open(server.ports.smtp!, 'smtp', header);
    const [reply] = await client.send({ to, message });
    assert.equal((await traceOf(server, idIn(reply))).connection.remoteIp, ip);
    await client.quit();
  }
  await assert.rejects(
    MailClient.open(server.ports.smtp!, 'smtp', Buffer.from('EHLO x\r\n')),
    /closed|not let in/,
  );
});
