/** AUTH EXTERNAL against a whole server: who shows a certificate that the operator's authority signed needs no password. RFC 4422 appendix A. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { makeCertificate } from '../kit/door.ts';
import { LineClient } from '../kit/line-client.ts';
import { startServer, type TestServer } from '../kit/server.ts';

const directory = mkdtempSync(join(tmpdir(), 'mailfilter-external-'));
let server: TestServer;
let known: Certificate;
before(async () => {
  known = certify('alice@example.test');
  const { certFile, keyFile } = makeCertificate('mx.example.test');
  const nobody = certify('nobody@example.test', 'nobody');
  server = await startServer({
    files: { 'clients.pem': `${known.cert}${nobody.cert}` },
    config: {
      tls: { certFile, keyFile, clientCaFile: 'clients.pem' },
      listeners: {
        implicit: { protocol: 'submission', address: '127.0.0.1:0', tls: 'implicit', pipeline: 'outbound' },
      },
    },
  });
});
after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Signed by itself, so that it is its own authority. */
function certify(email: string, file = 'alice'): Certificate {
  const [cert, key] = [join(directory, `${file}.pem`), join(directory, `${file}.key`)];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
  const names = ['-subj', `/CN=${file}`, '-addext', `subjectAltName=email:${email}`];
  execFileSync('openssl', ['req', '-x509', ...ec, '-out', cert, '-days', '2', ...names], { stdio: 'ignore' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** Has said EHLO; the mechanisms that were offered. */
async function hello(
  t: TestContext,
  certificate?: Certificate,
): Promise<{ client: LineClient; offered: string[] }> {
  const options = { port: server.ports.implicit!, host: '127.0.0.1', rejectUnauthorized: false };
  const socket: TLSSocket = connect({ ...options, ...certificate });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const client = new LineClient(socket);
  await client.codes(1);
  client.send('EHLO c\r\n');
  const auth = (await client.reply()).find((line) => line.slice(4).startsWith('AUTH ')) ?? '';
  return { client, offered: auth.slice(4).split(' ').slice(1) };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('a certificate is a login, for its own address alone', async (t) => {
  const { client, offered } = await hello(t, known);
  assert.equal(offered[0], 'EXTERNAL');
  client.send(`AUTH EXTERNAL ${base64('bob@example.test')}\r\n`);
  assert.match((await client.line()) ?? '', /^535 5\.7\.8 /);
  client.send('AUTH EXTERNAL\r\n');
  assert.match((await client.line()) ?? '', /^334 /);
  client.send(`${base64('alice@example.test')}\r\n`);
  assert.match((await client.line()) ?? '', /^235 2\.7\.0 /);
  client.send('MAIL FROM:<bob@example.test>\r\nMAIL FROM:<alice@example.test>\r\n');
  assert.match((await client.line()) ?? '', /^553 5\.7\.1 /);
  assert.match((await client.line()) ?? '', /^250 2\.1\.0 /);
});

test('an empty response means the address of the certificate', async (t) => {
  const { client } = await hello(t, known);
  client.send('AUTH EXTERNAL =\r\n');
  assert.match((await client.line()) ?? '', /^235 2\.7\.0 /);
});

test('without a certificate, or with one that nobody vouches for, it is not there', async (t) => {
  for (const certificate of [undefined, certify('alice@example.test', 'forged')]) {
    const { client, offered } = await hello(t, certificate);
    assert.ok(offered.length > 0 && !offered.includes('EXTERNAL'));
    client.send('AUTH EXTERNAL =\r\n');
    assert.match((await client.line()) ?? '', /^504 5\.5\.4 /);
  }
});

test('a certificate of somebody who is no user here is refused', async (t) => {
  const nobody = {
    cert: readFileSync(join(directory, 'nobody.pem'), 'utf8'),
    key: readFileSync(join(directory, 'nobody.key'), 'utf8'),
  };
  const { client } = await hello(t, nobody);
  client.send('AUTH EXTERNAL =\r\n');
  assert.match((await client.line()) ?? '', /^535 5\.7\.8 /);
});
