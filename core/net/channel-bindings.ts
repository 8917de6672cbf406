/** What both ends of a TLS connection know and nobody in between. RFC 9266, RFC 5929. */
import { createHash, X509Certificate } from 'node:crypto';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { ChannelBindings } from './scram.ts';

export function channelBindings(socket: TLSSocket): ChannelBindings {
  const bindings: Record<string, Buffer> = {
    'tls-exporter': socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)),
  };
  // RFC 9266 section 4: not defined for TLS 1.3.
  const finished = socket.getProtocol() === 'TLSv1.3' ? undefined : firstFinished(socket);
  if (finished !== undefined) bindings['tls-unique'] = finished;
  const { raw } = (socket.getCertificate() ?? {}) as Partial<PeerCertificate>;
  if (raw !== undefined) bindings['tls-server-end-point'] = endPoint(raw);
  return bindings;
}

/** Of a full handshake the client's Finished is the first, of a resumed one the server's. RFC 5929 section 3.1. */
function firstFinished(socket: TLSSocket): Buffer | undefined {
  return socket.isSessionReused() ? socket.getFinished() : socket.getPeerFinished();
}

/** The hash of the certificate's own signature, at least SHA-256. RFC 5929 section 4.1. */
function endPoint(certificate: Buffer): Buffer {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm ?? '';
  const [, bits] = /sha-?(384|512)/i.exec(algorithm) ?? [];
  return createHash(bits === undefined ? 'sha256' : `sha${bits}`)
    .update(certificate)
    .digest();
}
