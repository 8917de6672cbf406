/** The package mailauth as a second opinion: what we sign and seal it verifies, what it signs we verify, and all four checks agree. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { sealArc } from '../../core/auth/arc/seal.ts';
import {
  canonicalizations,
  domain,
  type KeyName,
  keys,
  messages,
  open,
  signHere,
  verifyHere,
  zone,
} from './dkim-messages.ts';

interface Answer {
  readonly dkim: { readonly results: readonly { readonly status: { readonly result: string } }[] };
  readonly arc: { readonly status: { readonly result: string } };
}
interface Mailauth {
  authenticate(message: Buffer, options: object): Promise<Answer>;
  dkimSign(message: Buffer, options: object): Promise<{ readonly signatures: string }>;
}
const require = createRequire(import.meta.url);
const { authenticate } = require('mailauth') as Mailauth;
const { dkimSign } = require('mailauth/lib/dkim/sign') as Mailauth;

/** As node:dns answers, from the zone of the keys. */
async function resolver(name: string, type: string): Promise<unknown> {
  const records = zone[name.toLowerCase()];
  if (type === 'TXT' && typeof records === 'object' && Array.isArray(records.TXT))
    return records.TXT.map((text) => [text]);
  throw Object.assign(new Error(`${type} ${name}`), { code: 'ENOTFOUND' });
}
const ask = (text: string) =>
  authenticate(Buffer.from(text, 'latin1'), { resolver, disableBimi: true, ip: '192.0.2.1' });

for (const name of ['rsa', 'ed25519'] as readonly KeyName[]) {
  test(`${name}, both ways`, async () => {
    for (const [index, [title, text]] of Object.entries(messages).entries()) {
      const canonicalization = canonicalizations[index % canonicalizations.length]!;
      const { dkim } = await ask(await signHere(text, name, canonicalization));
      assert.deepEqual(
        dkim.results.map(({ status }) => status.result),
        ['pass'],
        `${title} ${canonicalization}`,
      );
      const { signatures } = await dkimSign(Buffer.from(text, 'latin1'), {
        canonicalization,
        signatureData: [
          {
            signingDomain: domain,
            selector: name,
            privateKey: keys[name].export({ type: 'pkcs8', format: 'pem' }),
          },
        ],
      });
      const results = await verifyHere(signatures + text);
      assert.deepEqual(
        results.map(({ result, reason }) => `${result} ${reason}`),
        ['pass '],
        `${title} ${canonicalization}`,
      );
    }
  });
}

test('it follows our chain', async () => {
  let text = messages.plain!;
  for (const cv of ['none', 'pass', 'pass'] as const) {
    const set = await sealArc(open(text), {
      key: { domain, selector: 'rsa', key: keys.rsa },
      now: Date.now(),
      cv,
      results: 'mx.example.org; dmarc=pass',
      signedNames: ['From', 'Subject'],
    });
    text = `ARC-Seal: ${set!.seal}\r\nARC-Message-Signature: ${set!.messageSignature}\r\nARC-Authentication-Results: ${set!.results}\r\n${text}`;
    assert.equal((await ask(text)).arc.status.result, 'pass');
  }
  assert.equal((await ask(text.replace('Bob', 'Eve'))).arc.status.result, 'fail');
});
