/** The package mailauth as a second opinion: what we sign and seal it verifies, what it signs we verify, and all four checks agree. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { sealArc } from '../../core/auth/arc/seal.ts';
import { evaluateDmarc } from '../../core/auth/dmarc/evaluate.ts';
import { memoryDns, type ZoneData, type ZoneRecords } from '../../core/net/dns-zone.ts';
import { type RandomSource, randomSource } from '../kit/random.ts';
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
  dmarc(options: object): Promise<{ readonly status: { readonly result: string }; readonly policy: string }>;
}
const require = createRequire(import.meta.url);
const { authenticate } = require('mailauth') as Mailauth;
const { dkimSign } = require('mailauth/lib/dkim/sign') as Mailauth;
const { dmarc } = require('mailauth/lib/dmarc') as Mailauth;

/** As node:dns answers. */
const resolverOf =
  (data: ZoneData) =>
  async (name: string, type: string): Promise<unknown> => {
    const records = data[name.toLowerCase()];
    if (type === 'A' && typeof records === 'object' && Array.isArray(records.A)) return records.A;
    if (type === 'TXT' && typeof records === 'object' && Array.isArray(records.TXT))
      return records.TXT.map((text) => [text]);
    throw Object.assign(new Error(`${type} ${name}`), { code: 'ENOTFOUND' });
  };
const resolver = resolverOf(zone);
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

const labels = ['a', 'b', 'c'];
function randomDomain(random: RandomSource): string {
  const names = Array.from({ length: 1 + random.below(5) }, () => random.pick(labels));
  return [...names, random.pick(['tld', 'co.tld'])].join('.');
}
function randomPolicy(random: RandomSource): string {
  const tags = [
    'v=DMARC1',
    random.pick(['p=reject', 'p=none', 'p=quarantine', 'p=bad', '']),
    random.pick(['', '', 'sp=none', 'sp=reject', 'sp=x']),
    random.pick(['', 'np=quarantine']),
    random.pick(['', '', 'psd=y', 'psd=n']),
    random.pick(['', 'adkim=s']),
    random.pick(['', 't=y']),
    random.pick(['', 'rua=mailto:x@y.tld']),
  ];
  return tags.filter((tag) => tag !== '').join('; ');
}

test('it agrees on DMARC, whatever the tree', async () => {
  const random = randomSource('mailauth');
  for (let round = 0; round < 500; round++) {
    const tree: Record<string, ZoneRecords> = {};
    for (let count = 0; count < 6; count++) {
      const place = randomDomain(random).split('.').slice(random.below(2)).join('.');
      tree[`_dmarc.${place}`] = { TXT: [randomPolicy(random)] };
    }
    const author = randomDomain(random);
    const signer = random.below(2)
      ? randomDomain(random)
      : author.split('.').slice(random.below(2)).join('.');
    if (random.below(2)) tree[author] = { A: ['192.0.2.1'] };
    const ours = await evaluateDmarc(
      { author, dkim: [{ domain: signer, result: 'pass' }], mode: 'rfc9989' },
      memoryDns(tree),
    );
    const theirs = await dmarc({
      headerFrom: [author],
      spfDomains: [],
      dkimDomains: [{ domain: signer }],
      resolver: resolverOf(tree),
    });
    const story = `${author} signed by ${signer}: ${JSON.stringify(tree)}`;
    assert.equal(ours.result, theirs.status.result, story);
    // Of mail that passes we do not ask whether its domain exists. It takes names for absent that have only others below
    // them, which exist: RFC 8020 section 2.
    const isBetween = !(author in tree) && Object.keys(tree).some((name) => name.endsWith(`.${author}`));
    if (ours.result === 'fail' && !isBetween) assert.equal(ours.policy, theirs.policy, story);
  }
});

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
