/** The digest of APOP: MD5 of the greeting's timestamp and a secret that both sides know. RFC 1939 section 7. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** @param digest as the client sent it: 32 hexadecimal digits, lower case */
export function isApopDigest(digest: string, timestamp: string, secret: string): boolean {
  if (!/^[0-9a-f]{32}$/.test(digest)) return false;
  const wanted = createHash('md5').update(timestamp).update(secret).digest();
  return timingSafeEqual(wanted, Buffer.from(digest, 'hex'));
}
