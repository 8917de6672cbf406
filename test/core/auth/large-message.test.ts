/** A message of any size is verified and signed in bounded memory and in one reading. RFC 6376. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { keyRecord, makeSigningKey } from '../../../core/auth/dkim/private-key.ts';
import { signDkim } from '../../../core/auth/dkim/sign.ts';
import { verifyDkim } from '../../../core/auth/dkim/verify.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { memoryDns } from '../../../core/net/dns-zone.ts';
import { memorySource } from '../../kit/message-source.ts';

const mebibyte = 1024 * 1024;
const bytes = (process.env.MAILFILTER_CAMPAIGN === '1' ? 1024 : 64) * mebibyte;
const key = makeSigningKey('ed25519');
const dns = memoryDns({ 's1._domainkey.example.org': { TXT: [keyRecord(key)] } });

/** Lines that the relaxed form changes, cut anywhere; a fresh chunk each time, as from a file. */
function* lines(): Generator<Buffer> {
  const line = 'all work and \t no play makes a dull day  \r\n';
  const block = Buffer.from(line.repeat(Math.ceil((2 * 65_536) / line.length)));
  for (let at = 0; at < bytes; at += 65_536) {
    const start = at % line.length;
    yield Buffer.from(block.subarray(start, start + 65_536));
  }
}

/** White space and nothing else: what is held back must not grow. */
function* blanks(): Generator<Buffer> {
  for (let at = 0; at < bytes; at += 65_536) yield Buffer.alloc(65_536, '  \r\n');
}

for (const [name, body] of [
  ['of text', lines],
  ['of nothing but white space', blanks],
] as const) {
  test(`${bytes / mebibyte} MiB ${name}`, async () => {
    const read = () => Readable.from(body(), { objectMode: false });
    const plain = {
      headers: openMessage(memorySource('From: ann@example.org\r\n\r\n'), []).headers,
      body: read,
    };
    const before = process.memoryUsage().rss;
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss - before);
    }, 20);
    const [value] = await signDkim(plain, [{ domain: 'example.org', selector: 's1', key }], {
      now: Date.now(),
      signedNames: ['From'],
      oversignedNames: [],
      headerCanonicalization: 'relaxed',
      bodyCanonicalization: 'relaxed',
    });
    const { headers } = openMessage(
      memorySource(`DKIM-Signature: ${value}\r\nFrom: ann@example.org\r\n\r\n`),
      [],
    );
    const [result] = await verifyDkim({ headers, body: read }, dns, { now: Date.now() });
    clearInterval(timer);
    assert.equal(result?.result, 'pass', result?.reason);
    assert.ok(most < 150 * mebibyte, `${Math.round(most / mebibyte)} MiB more`);
  });
}
