/** The self-signed certificate: read by node:crypto, by openssl, and in a real TLS handshake. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { selfSigned } from '../../src/cli/certificate.ts';
import { requireProgram } from '../kit/require.ts';

const now = Date.UTC(2026, 10, 21, 6, 0, 0);
const made = selfSigned({ names: ['mx.example.test', '127.0.0.1', '2001:db8::1'], days: 825, now });

test('it names its hosts, is valid around now, and verifies with its own key', () => {
  const certificate = new X509Certificate(made.certificate);
  assert.equal(certificate.subject, 'CN=mx.example.test');
  assert.equal(certificate.checkHost('mx.example.test'), 'mx.example.test');
  assert.equal(certificate.checkIP('2001:db8::1'), '2001:db8::1');
  assert.equal(certificate.checkHost('other.example.test'), undefined);
  assert.equal(certificate.validFromDate.getTime(), now - 86_400_000);
  assert.equal(certificate.validToDate.getTime(), now + 825 * 86_400_000);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(made.key)));
  assert.equal(certificate.ca, false);
});

test('a date after 2049 is written in the longer form', () => {
  const { certificate } = selfSigned({ names: ['a.example'], days: 10_000, now });
  assert.equal(new X509Certificate(certificate).validToDate.getUTCFullYear(), 2054);
});

test('serial numbers are positive and differ', () => {
  const serials = Array.from({ length: 50 }, () => {
    const { certificate } = selfSigned({ names: ['a.example'], days: 1, now });
    return new X509Certificate(certificate).serialNumber;
  });
  assert.equal(new Set(serials).size, 50);
  assert.ok(serials.every((serial) => /^[4-7]/.test(serial)));
});

for (const minVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a client that trusts it shakes hands in ${minVersion}`, async () => {
    const { certificate, key } = selfSigned({ names: ['localhost', '127.0.0.1'], days: 1, now: Date.now() });
    const server = createServer({ cert: certificate, key, minVersion, maxVersion: minVersion });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: certificate });
    try {
      await once(client, 'secureConnect');
      assert.ok(client.authorized);
      assert.equal(client.getProtocol(), minVersion);
    } finally {
      client.destroy();
      server.close();
    }
  });
}

test('openssl takes it', (t) => {
  const openssl = requireProgram(t, 'openssl');
  if (openssl === undefined) return;
  const text = execFileSync(openssl, ['x509', '-noout', '-text'], {
    input: made.certificate,
    encoding: 'utf8',
  });
  assert.match(text, /Version: 3 \(0x2\)/);
  assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
  assert.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
  assert.match(text, /TLS Web Server Authentication/);
});
