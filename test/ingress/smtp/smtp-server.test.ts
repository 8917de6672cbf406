/** What the door relies on inside the package smtp-server; an upgrade that changes it fails here first, by name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { DoorConnection } from '../../../src/ingress/smtp/connection.ts';
import { Intake } from '../../../src/ingress/smtp/intake.ts';
import { SmtpServer } from '../../../src/ingress/smtp/server.ts';

/** The methods that a class takes over from the package, seen as names. */
function overridden(ours: { prototype: object }, theirs: { prototype: object }, names: readonly string[]) {
  for (const name of names) {
    assert.equal(typeof Reflect.get(theirs.prototype, name), 'function', `the package lost ${name}`);
    assert.ok(Object.hasOwn(ours.prototype, name), `we no longer override ${name}`);
  }
}

test('the methods that we take over are still there', () => {
  overridden(DoorConnection, SMTPConnection, [
    ...['init', '_createParser', '_armTimeout', '_onError', '_onClose', 'send'],
  ]);
  overridden(SmtpServer, SMTPServer, [
    ...['connect', '_expectsProxyHeader', '_handleProxy', '_upgrade', '_onError'],
  ]);
  overridden(Intake, SMTPStream, ['_write', '_flushData']);
});

test('the methods that we call are still there', () => {
  for (const name of ['_setListeners', 'upgrade', 'close', 'emit']) {
    assert.equal(typeof Reflect.get(SMTPConnection.prototype, name), 'function', name);
  }
  for (const name of ['_acceptSocket', 'onSecure', 'onClose']) {
    assert.equal(typeof Reflect.get(SMTPServer.prototype, name), 'function', name);
  }
});

test('the package calls our methods where we think it does', () => {
  const calls = (method: unknown, ...texts: string[]) => {
    for (const text of texts)
      assert.ok(String(method).includes(text), `no ${text} in ${String(method).slice(0, 60)}`);
  };
  const { prototype } = SMTPConnection;
  calls(prototype._setListeners, 'this._onCloseEvent(', 'this._onError(', 'this._socket.pipe(this._parser)');
  calls(prototype._onCloseEvent, 'this._onClose()');
  calls(prototype._onClose, 'this._parser.isClosed = true');
  calls(prototype.close, 'this._socket.end()', 'this._parser.isClosed = true', 'this._closing = true');
  // The handshake: plaintext is retired with its parser, and a new parser gets the TLS socket's octets.
  calls(prototype.upgrade, 'this._parser.isClosed = true', 'this._parser = this._createParser()');
  calls(prototype.upgrade, 'this._armTimeout(tlsSocket)', 'this._upgrading = true', 'secureCallback()');
  calls(SMTPServer.prototype._acceptSocket, 'this._expectsProxyHeader(', 'this._pendingSockets.set(');
  const server = SMTPServer.toString();
  calls(server, 'this._handleProxy(socket', 'this._upgrade(socket', 'this.connect(');
});

test('a connection parses with our intake, from its constructor on', () => {
  const server = new SMTPServer({ secure: false, logger: false, disabledCommands: ['STARTTLS'] });
  class Probe extends SMTPConnection {
    override _createParser(): Intake {
      return new Intake();
    }
  }
  const probe = new Probe(server, new Socket());
  assert.ok(probe._parser instanceof Intake);
  assert.ok(probe._parser instanceof Writable);
});

test('the version that this was written for', () => {
  const url = new URL('../../../node_modules/smtp-server/package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(url, 'utf8'));
  assert.equal(version, '3.21.6', 'read its changes to connection, server and stream, then change this line');
});
