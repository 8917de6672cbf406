/** What comes in pieces and is never answered is acknowledged; a socket that is gone is let be. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { quickAck } from '../../src/sockets/quick-ack.ts';
import { until } from '../kit/server.ts';

test('pieces that get no answer arrive, and a closed socket is no error', { skip: !quickAck }, async (t) => {
  let octets = 0;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', (chunk) => {
      octets += chunk.length;
      quickAck!.acknowledge(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => client.destroy());
  for (let piece = 0; piece < 20; piece++) client.write('piece');
  await until('all pieces', () => octets === 100);
  client.destroy();
  await until('the end', () => sockets[0]!.destroyed);
  assert.doesNotThrow(() => quickAck!.acknowledge(sockets[0]!));
});
