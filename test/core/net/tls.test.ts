/** Which certificate serves which name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../../../core/base/errors.ts';
import { TlsContexts } from '../../../core/net/tls.ts';
import { makeCertificate } from '../../kit/door.ts';

const first = makeCertificate('mx.example.test');
const second = makeCertificate('*.other.test');
const settings = { ...first, minVersion: 'TLSv1.2', more: [second] } as const;

test('the certificate that names the server, else the first', () => {
  const contexts = new TlsContexts(settings);
  const fallback = contexts.context();
  assert.equal(contexts.context('mx.example.test'), fallback);
  assert.equal(contexts.context('unheard.of.test'), fallback);
  assert.notEqual(contexts.context('mail.OTHER.test'), fallback);
  assert.equal(contexts.context('a.mail.other.test'), fallback, 'a wildcard stands for one label');
});

test('a reload makes new contexts', () => {
  const contexts = new TlsContexts(settings);
  const before = contexts.context();
  contexts.reload();
  const reread = contexts.context();
  assert.notEqual(reread, before);
  contexts.reload({ ...second, minVersion: 'TLSv1.3' });
  assert.equal(contexts.context('mx.example.test'), contexts.context('a.other.test'));
  assert.throws(() => contexts.reload({ ...first, keyFile: second.keyFile, minVersion: 'TLSv1.3' }));
  assert.equal(contexts.context('mx.example.test'), contexts.context('a.other.test'), 'nothing changed');
});

for (const [name, files] of [
  ['a file that is not there', { ...first, certFile: '/nowhere/cert.pem' }],
  ['a key that is another’s', { ...first, keyFile: second.keyFile }],
  ['a key in place of the certificate', { ...first, certFile: first.keyFile }],
] as const) {
  test(`refused, with its name: ${name}`, () => {
    assert.throws(
      () => new TlsContexts({ ...files, minVersion: 'TLSv1.2' }),
      (error) => {
        assert.ok(error instanceof OperationalError);
        assert.equal(error.code, 'tls-certificate');
        assert.ok(error.message.includes(files.certFile) && error.message.includes(files.keyFile));
        return true;
      },
    );
  });
}
