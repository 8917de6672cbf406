/** Sockets of listeners: what is bound, what is in the way, and what the operator is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import { listen } from '../../src/sockets/listen.ts';
import { openDoor } from '../kit/door.ts';
import { LineClient } from '../kit/line-client.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'mailfilter-listen-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function server(t: TestContext): Server {
  const made = createServer();
  t.after(() => made.close());
  return made;
}

test('a taken port: listener, port and option are named', async (t) => {
  const address = await listen(server(t), {
    name: 'mx',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  });
  assert.ok(address.kind === 'tcp' && address.port > 0);
  await assert.rejects(listen(server(t), { name: 'second', address }), (error) => {
    assert.ok(error instanceof OperationalError);
    const want = `listener "second" cannot listen on 127.0.0.1:${address.port}: port ${address.port} is taken by another program; stop that program or change listeners.second.address`;
    assert.equal(error.message, want);
    return error.code === 'listen';
  });
});

test('an address that is not ours', async (t) => {
  const address = { kind: 'tcp', host: '192.0.2.1', port: 0 } as const;
  await assert.rejects(
    listen(server(t), { name: 'mx', address }),
    /this machine does not have that address; change listeners\.mx\.address/,
  );
});

test('a unix socket: mode, a stale one is replaced, one that is answered is not', async (t) => {
  const path = join(folder(t), 'smtp.sock');
  // A process that dies without cleaning up leaves the file.
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  assert.ok(existsSync(path));
  const address = { kind: 'unix', path, mode: 0o660 } as const;
  const first = server(t);
  assert.deepEqual(await listen(first, { name: 'local', address }), address);
  assert.equal(statSync(path).mode & 0o777, 0o660);
  await assert.rejects(
    listen(server(t), { name: 'other', address }),
    /listener "other" cannot listen on unix:.*: another process listens there; stop it or change listeners\.other\.address/,
  );
  const socket = connect(path);
  await once(socket, 'connect');
  socket.destroy();
});

test('a file that is no socket is left alone', async (t) => {
  const path = join(folder(t), 'important');
  writeFileSync(path, 'text');
  await assert.rejects(
    listen(server(t), { name: 'local', address: { kind: 'unix', path } }),
    /something other than a socket is there/,
  );
  assert.ok(existsSync(path));
});

test('LMTP on a unix socket', async (t) => {
  const path = join(folder(t), 'lmtp.sock');
  const { flow } = await openDoor(t, { listener: { protocol: 'lmtp', address: { kind: 'unix', path } } });
  const client = new LineClient(connect(path));
  t.after(() => client.destroy());
  client.send('LHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 3 LAST\r\none');
  assert.deepEqual(await client.codes(5), ['220', '250', '250 2.1.0', '250 2.1.5', '250 2.0.0']);
  assert.equal(flow.messages[0]!.connection.remoteIp, '');
});

test('AUTH without TLS: on a unix socket, not for a client whose address the proxy does not know', async (t) => {
  const path = join(folder(t), 'submission.sock');
  const listener = { protocol: 'submission', auth: true, authWithoutTls: true } as const;
  await openDoor(t, { listener: { ...listener, address: { kind: 'unix', path } } });
  const local = new LineClient(connect(path));
  t.after(() => local.destroy());
  local.send('EHLO c\r\nAUTH PLAIN\r\n');
  assert.deepEqual(await local.codes(3), ['220', '250', '334']);
  const { port } = await openDoor(t, { listener, config: { xclientFrom: ['127.0.0.1'] } });
  for (const [address, code] of [
    ['[UNAVAILABLE]', '538 5.7.11'],
    ['192.0.2.7', '538 5.7.11'],
    ['127.0.0.1', '334'],
  ]) {
    const client = LineClient.toPort(port);
    t.after(() => client.destroy());
    client.send(`XCLIENT ADDR=${address}\r\n`);
    assert.deepEqual(await client.codes(2), ['220', '220']);
    client.send('EHLO c\r\nAUTH PLAIN\r\n');
    assert.deepEqual(await client.codes(2), ['250', code], address);
  }
});

test('a unix socket given away by root has its owner and mode', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  const path = join(folder(t), 'owned.sock');
  const address = { kind: 'unix', path, mode: 0o600 } as const;
  const before = process.umask();
  await listen(server(t), { name: 'local', address }, { owner: { uid: 65534, gid: 65534 } });
  const stat = statSync(path);
  assert.deepEqual([stat.uid, stat.gid, stat.mode & 0o777], [65534, 65534, 0o600]);
  assert.equal(process.umask(), before);
});
