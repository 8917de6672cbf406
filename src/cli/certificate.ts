/** A self-signed X.509 v3 certificate (RFC 5280) on a fresh P-256 key (RFC 5480): node:crypto reads certificates but makes none. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface CertificateRequest {
  /** DNS names and IP addresses; the first becomes the subject's common name. */
  readonly names: readonly string[];
  readonly days: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Both as PEM. */
export interface SelfSigned {
  readonly certificate: string;
  readonly key: string;
}

export function selfSigned(request: CertificateRequest): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const tbs = toBeSigned(request, publicKey);
  const signature = sign('sha256', tbs, { key: privateKey, dsaEncoding: 'der' });
  const der = sequence(tbs, ecdsaWithSha256, bitString(signature));
  return {
    certificate: pem('CERTIFICATE', der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

const dayMs = 86_400_000;

/** RFC 5280 section 4.1: TBSCertificate. */
function toBeSigned({ names, days, now }: CertificateRequest, publicKey: KeyObject): Buffer {
  const name = distinguishedName(names[0] ?? 'localhost');
  // A clock that is a little behind must not find the certificate not yet valid.
  const validity = sequence(time(now - dayMs), time(now + days * dayMs));
  return sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(subjectAltName(names), notACa(), forServers())),
  );
}

/** Section 4.1.2.2: positive, at most 20 octets, unique. */
function serialNumber(): Buffer {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return serial;
}

/** Section 4.1.2.4: one common name. */
function distinguishedName(commonName: string): Buffer {
  const text = node(0x0c, Buffer.from(commonName.slice(0, 64)));
  return sequence(node(0x31, sequence(objectId('55 04 03'), text)));
}

/** Section 4.2.1.6: dNSName [2], iPAddress [7]. */
function subjectAltName(names: readonly string[]): Buffer {
  const general = names.map((name) =>
    isIP(name) === 0 ? node(0x82, Buffer.from(name, 'latin1')) : node(0x87, addressOctets(name)),
  );
  return extension('55 1d 11', false, sequence(...general));
}

/** Section 4.2.1.9: an empty BasicConstraints says that this certificate signs no others. */
function notACa(): Buffer {
  return extension('55 1d 13', true, sequence());
}

/** Section 4.2.1.12: serverAuth. */
function forServers(): Buffer {
  return extension('55 1d 25', false, sequence(objectId('2b 06 01 05 05 07 03 01')));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [node(0x01, Buffer.from([0xff]))] : [];
  return sequence(objectId(id), ...flag, node(0x04, value));
}

function addressOctets(ip: string): Buffer {
  if (isIP(ip) === 4) return Buffer.from(ip.split('.').map(Number));
  const [head = '', tail = ''] = ip.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((hex) => Number.parseInt(hex, 16));
  const [before, after] = [groups(head), groups(tail)];
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const utc = digits < '2050';
  return node(utc ? 0x17 : 0x18, Buffer.from(`${utc ? digits.slice(2) : digits}Z`, 'latin1'));
}

/** DER, ITU-T X.690: tag, definite length in the fewest octets, content. */
function node(tag: number, content: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest & 0xff);
  const header = content.length < 128 ? [tag, content.length] : [tag, 0x80 | length.length, ...length];
  return Buffer.concat([Buffer.from(header), content]);
}

function sequence(...items: readonly Buffer[]): Buffer {
  return node(0x30, Buffer.concat(items));
}

function explicit(number: number, content: Buffer): Buffer {
  return node(0xa0 | number, content);
}

function integer(octets: Buffer): Buffer {
  return node(0x02, octets);
}

function bitString(octets: Buffer): Buffer {
  return node(0x03, Buffer.concat([Buffer.from([0]), octets]));
}

/** From the encoded octets in hexadecimal. */
function objectId(octets: string): Buffer {
  return node(0x06, Buffer.from(octets.replaceAll(' ', ''), 'hex'));
}

/** RFC 5758 section 3.2: no parameters. */
const ecdsaWithSha256 = sequence(objectId('2a 86 48 ce 3d 04 03 02'));

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
