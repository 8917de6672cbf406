/** DKIM both ways: what is signed verifies, whatever the text, and every change that must break a signature does. RFC 6376. */
import assert from 'node:assert/strict';
import { createPublicKey, sign as cryptoSign, generateKeyPairSync, hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { BodyHash } from '../../../core/auth/dkim/body-hash.ts';
import { keyRecord, makeSigningKey } from '../../../core/auth/dkim/private-key.ts';
import { readPublicKey } from '../../../core/auth/dkim/public-key.ts';
import { type SignOptions, signDkim } from '../../../core/auth/dkim/sign.ts';
import { parseDkimSignature } from '../../../core/auth/dkim/signature.ts';
import { relaxField, withoutSignature } from '../../../core/auth/dkim/signed-header.ts';
import { type DkimOptions, dkimAuthResults, verifyDkim } from '../../../core/auth/dkim/verify.ts';
import { insertHeader } from '../../../core/mail/edits.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { renderStream } from '../../../core/mail/render.ts';
import { memoryDns, type ZoneData } from '../../../core/net/dns-zone.ts';
import { memorySource, readAll } from '../../kit/message-source.ts';

const keys = { rsa: makeSigningKey('rsa', 1024), ed25519: makeSigningKey('ed25519') };
const zone: ZoneData = {
  'rsa._domainkey.example.org': { TXT: [keyRecord(keys.rsa)] },
  'ed25519._domainkey.example.org': { TXT: [keyRecord(keys.ed25519)] },
};
const now = Date.parse('2026-11-21T12:00:00Z');
const defaults: SignOptions = {
  now,
  signedNames: ['From', 'To', 'Subject', 'Date'],
  oversignedNames: ['From', 'Subject'],
  headerCanonicalization: 'relaxed',
  bodyCanonicalization: 'relaxed',
};

async function sign(
  text: string,
  options: Partial<SignOptions> = {},
  types: readonly (keyof typeof keys)[] = ['rsa', 'ed25519'],
) {
  const source = memorySource(text);
  const signing = types.map((type) => ({ domain: 'example.org', selector: type, key: keys[type] }));
  const values = await signDkim(openMessage(source, []), signing, { ...defaults, ...options });
  const edits = values.map((value) => insertHeader(0, 'DKIM-Signature', value));
  return (await readAll(renderStream(source, edits, { lineEnds: 'crlf' }))).toString('latin1');
}

async function verify(text: string, options: Partial<DkimOptions> = {}, data: ZoneData = zone) {
  return verifyDkim(openMessage(memorySource(text), []), memoryDns(data), { now, ...options });
}

const words = (results: Awaited<ReturnType<typeof verify>>) =>
  results.map(({ result, reason }) => (reason ? `${result}: ${reason}` : result));
const mail =
  'From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\nHello Bob,\r\n\r\nbye \t now.\r\n';

test('two algorithms sign together', async () => {
  const text = await sign(mail);
  assert.deepEqual(words(await verify(text)), ['pass', 'pass']);
  const [first] = dkimAuthResults(await verify(text));
  assert.equal(first!.properties!['header.d'], 'example.org');
  assert.equal(first!.properties!['header.a'], 'ed25519-sha256');
  for (const line of text.split('\r\n')) assert.ok(line.length <= 78, line);
});

const octets = fc
  .array(
    fc.constantFrom(
      'a',
      'b',
      '.',
      ' ',
      ' ',
      '\t',
      '\r\n',
      '\r\n',
      '\r\n',
      '\xe4',
      '-',
      '\r',
      '\n',
      '  \r\n',
      'x'.repeat(1200),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));
const canonicalizations = fc.constantFrom('simple', 'relaxed') as fc.Arbitrary<'simple' | 'relaxed'>;

test('whatever the body, the subject and the canonicalization: what is signed verifies', async () => {
  await fc.assert(
    fc.asyncProperty(
      octets,
      fc.stringMatching(/^[ -~]{0,80}$/),
      canonicalizations,
      canonicalizations,
      fc.constantFrom('rsa', 'ed25519') as fc.Arbitrary<'rsa' | 'ed25519'>,
      async (body, subject, headerCanonicalization, bodyCanonicalization, type) => {
        const text = mail
          .replace('Subject: hello', `Subject: ${subject.trim()}`)
          .replace(/\r\n\r\n.*$/s, `\r\n\r\n${body}`);
        const signed = await sign(text, { headerCanonicalization, bodyCanonicalization }, [type]);
        assert.deepEqual(words(await verify(signed)), ['pass']);
      },
    ),
    { numRuns: 150 },
  );
});

/** The canonical body by the RFC's words, on the whole body at once. */
function canonicalBody(body: string, canonicalization: 'simple' | 'relaxed'): string {
  let text = body;
  if (canonicalization === 'relaxed') {
    const lines = text.split('\r\n');
    text = lines.map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, '')).join('\r\n');
  }
  text = text.replace(/(?:\r\n)+$/, '');
  return text === '' && canonicalization === 'relaxed' ? '' : `${text}\r\n`;
}

test('however a body is cut into chunks, its hash is that of the whole', () => {
  fc.assert(
    fc.property(
      octets,
      canonicalizations,
      fc.array(fc.nat(40), { maxLength: 20 }),
      fc.option(fc.nat(300)),
      (body, canonicalization, cuts, limit) => {
        const length = limit ?? undefined;
        const hash = new BodyHash({ hash: 'sha256', canonicalization, length });
        let at = 0;
        for (const cut of cuts) {
          hash.update(Buffer.from(body.slice(at, at + cut), 'latin1'));
          at += cut;
        }
        hash.update(Buffer.from(body.slice(at), 'latin1'));
        const canonical = canonicalBody(body, canonicalization);
        const whole = new BodyHash({ hash: 'sha256', canonicalization: 'simple' });
        whole.update(Buffer.from(canonical.slice(0, -2), 'latin1'));
        const found = hash.digest();
        assert.equal(hash.octets, canonical.length);
        // The simple form of a canonical body is itself, but for the empty one.
        if (length === undefined && canonical !== '' && !/\r\n\r\n$/.test(canonical))
          assert.equal(found, whole.digest());
      },
    ),
    { numRuns: 500 },
  );
});

const changes: readonly [name: string, change: (text: string) => string, simple: string, relaxed: string][] =
  [
    ['nothing', (text) => text, 'pass', 'pass'],
    ['a word of the body', (text) => text.replace('Bob,', 'Eve,'), 'fail', 'fail'],
    ['a line more', (text) => `${text}p.s.\r\n`, 'fail', 'fail'],
    ['empty lines at the end', (text) => `${text}\r\n\r\n`, 'pass', 'pass'],
    ['white space at the end of a line', (text) => text.replace('Bob,', 'Bob, \t'), 'fail', 'pass'],
    ['white space within a line', (text) => text.replace('bye \t now', 'bye now'), 'fail', 'pass'],
    ['white space where there was none', (text) => text.replace('Hello', 'Hel lo'), 'fail', 'fail'],
    ['a signed field', (text) => text.replace('Subject: hello', 'Subject: hallo'), 'fail', 'fail'],
    ['a signed field folded', (text) => text.replace('To: bob', 'To:\r\n\tbob'), 'fail', 'pass'],
    ['the case of a signed name', (text) => text.replace('Subject: hello', 'SUBJECT: hello'), 'fail', 'pass'],
    [
      'a second Subject',
      (text) => text.replace('Subject: hello', 'Subject: hello\r\nSubject: more'),
      'fail',
      'fail',
    ],
    ['a second Subject on top', (text) => `Subject: more\r\n${text}`, 'fail', 'fail'],
    ['a second From on top', (text) => `From: eve@evil.example\r\n${text}`, 'fail', 'fail'],
    ['a field that is not signed', (text) => `X-Spam: no\r\n${text}`, 'pass', 'pass'],
    ['a signed field taken off', (text) => text.replace('To: bob@example.net\r\n', ''), 'fail', 'fail'],
    ['the order of fields', (text) => text.replace(/(To: .*\r\n)(Subject: .*\r\n)/, '$2$1'), 'pass', 'pass'],
    ['a tag of the signature', (text) => text.replace('; t=', '; n=x; t='), 'fail', 'fail'],
  ];

for (const [name, change, simple, relaxed] of changes) {
  test(`changed: ${name}`, async () => {
    for (const [canonicalization, want] of [
      ['simple', simple],
      ['relaxed', relaxed],
    ] as const) {
      const text = await sign(
        mail,
        { headerCanonicalization: canonicalization, bodyCanonicalization: canonicalization },
        ['ed25519'],
      );
      const changed = change(text);
      if (name !== 'nothing') assert.notEqual(changed, text);
      const [result] = await verify(changed);
      assert.equal(result!.result, want, `${canonicalization}: ${result!.reason}`);
    }
  });
}

/** A signature over this very text, with tags of the test's own: the header is hashed as the verifier will. */
async function craft(
  tags: string,
  { body = 'Hello.\r\n', key = keys.rsa, algorithm = 'rsa-sha256' } = {},
): Promise<string> {
  const text = `From: ann@example.org\r\n\r\n${body}`;
  const length = /(?:^|; )l=(\d+)/.exec(tags)?.[1];
  const sha = algorithm.endsWith('sha1') ? 'sha1' : 'sha256';
  const bodyHash = hash(
    sha,
    Buffer.from(length === undefined ? body : body.slice(0, Number(length))),
    'base64',
  );
  const field = `DKIM-Signature: v=1; a=${algorithm}; ${tags}; h=from; bh=${bodyHash}; b=`;
  const octets = Buffer.from(`From: ann@example.org\r\n${field}`);
  const signature = algorithm.startsWith('rsa')
    ? cryptoSign(sha, octets, key)
    : cryptoSign(null, hash('sha256', octets, 'buffer'), key);
  return `${field}${signature.toString('base64')}\r\n${text}`;
}

const base = 'd=example.org; s=rsa';
const crafted: readonly [name: string, tags: string, want: string, options?: Partial<DkimOptions>][] = [
  ['plain', base, 'pass'],
  ['l= of all', `${base}; l=8`, 'pass'],
  ['l= of a part', `${base}; l=5`, 'pass: 3 octets of the body are not signed'],
  [
    'l= of a part, not trusted',
    `${base}; l=5`,
    'policy: 3 octets of the body are not signed',
    { allowPartialBody: false },
  ],
  ['l= of more than there is', `${base}; l=9`, 'permerror: body is shorter than l='],
  ['l= no number', `${base}; l=-1`, 'permerror: l=, t= or x= is no number'],
  ['x= in the past', `${base}; x=${now / 1000 - 3600}`, 'policy: signature has expired'],
  ['x= in the past by less than clocks differ', `${base}; x=${now / 1000 - 60}`, 'pass'],
  ['x= in the future', `${base}; x=${now / 1000 + 3600}`, 'pass'],
  ['x= before t=', `${base}; t=${now / 1000}; x=${now / 1000 - 1}`, 'permerror: x= is not after t='],
  ['t= in the future', `${base}; t=${now / 1000 + 3600}`, 'policy: signature is of the future'],
  ['i= of a subdomain', `${base}; i=ann@sub.example.org`, 'pass'],
  ['i= of another domain', `${base}; i=ann@example.net`, 'permerror: i= is not within d='],
  ['i= of a domain that only ends alike', `${base}; i=ann@notexample.org`, 'permerror: i= is not within d='],
  ['i= quoted', `${base}; i=a=3Dn@example.org`, 'pass'],
  ['q= that nobody knows', `${base}; q=http`, 'neutral: query method http is unknown'],
  ['q= with others', `${base}; q=http:dns/txt`, 'pass'],
  ['c= that nobody knows', `${base}; c=nofws`, 'neutral: canonicalization nofws is unknown'],
  ['a tag twice', `${base}; d=example.org`, 'permerror: signature is no list of tags'],
  ['d= with a dot at the end', 'd=example.org.; s=rsa', 'permerror: d= is no domain'],
  ['no key', 'd=example.org; s=none', 'permerror: no key for signature'],
  ['a key revoked', 'd=example.org; s=revoked', 'permerror: key was revoked'],
  ['a key for something else', 'd=example.org; s=chat', 'permerror: key is not for mail'],
  ['a key for SHA-1', 'd=example.org; s=sha1', 'permerror: key is not for sha256'],
  ['a key of another kind', 'd=example.org; s=ed25519', 'permerror: key is not for rsa'],
  ['a key only for the very domain', 'd=example.org; s=strict', 'pass'],
  [
    'a key only for the very domain, and i= of another',
    'd=example.org; s=strict; i=@sub.example.org',
    'permerror: key is not for subdomains',
  ],
  ['a key in the bare form', 'd=example.org; s=pkcs1', 'pass'],
  ['DNS fails', 'd=example.org; s=servfail', 'temperror: key is not available now'],
  ['DNS is late', 'd=example.org; s=timeout', 'temperror: key is not available now'],
];

const rsaText = keyRecord(keys.rsa).replace('v=DKIM1; k=rsa; ', '');
const pkcs1 = createPublicKey(keys.rsa.export({ type: 'pkcs8', format: 'pem' })).export({
  type: 'pkcs1',
  format: 'der',
});
const craftedZone: ZoneData = {
  ...zone,
  'revoked._domainkey.example.org': { TXT: ['v=DKIM1; p='] },
  'chat._domainkey.example.org': { TXT: [`v=DKIM1; s=chat; ${rsaText}`] },
  'sha1._domainkey.example.org': { TXT: [`v=DKIM1; h=sha1; ${rsaText}`] },
  'strict._domainkey.example.org': { TXT: [`v=DKIM1; t=s; ${rsaText}`] },
  'pkcs1._domainkey.example.org': {
    TXT: [`p=${pkcs1.toString('base64')}`],
  },
  'servfail._domainkey.example.org': 'SERVFAIL',
  'timeout._domainkey.example.org': 'TIMEOUT',
};

for (const [name, tags, want, options] of crafted) {
  test(`signature: ${name}`, async () => {
    assert.deepEqual(words(await verify(await craft(tags), options, craftedZone)), [want]);
  });
}

test('rsa-sha1 is verified, and not trusted unless asked to', async () => {
  const text = await craft(base, { algorithm: 'rsa-sha1' });
  assert.deepEqual(words(await verify(text)), ['policy: rsa-sha1 is not trusted']);
  assert.deepEqual(words(await verify(text, { allowSha1: true })), ['pass']);
});

test('a short key is not trusted', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 768 });
  const text = await craft('d=example.org; s=short', { key: privateKey });
  const data = { 'short._domainkey.example.org': { TXT: [keyRecord(privateKey)] } };
  assert.deepEqual(words(await verify(text, {}, data)), ['policy: key of 768 bits is too short']);
});

test('From must be signed', async () => {
  const text = (await craft(base)).replace('h=from', 'h=to');
  assert.deepEqual(words(await verify(text)), ['permerror: From is not signed']);
});

test('no more signatures are looked at than may be', async () => {
  const one = (await sign(mail, {}, ['ed25519'])).split('\r\nFrom: Ann')[0]!;
  const text = `${`${one}\r\n`.repeat(30)}${mail}`;
  assert.equal((await verify(text)).length, 10);
  assert.equal((await verify(text, { signaturesMax: 3 })).length, 3);
});

test('a large body is read in chunks, once for all signatures', async () => {
  const text = await sign(mail);
  const { headers } = openMessage(memorySource(text), []);
  let bodies = 0;
  const body = () => {
    bodies++;
    return Readable.from([
      Buffer.from('Hello Bob,\r'),
      Buffer.from('\n\r\nbye \t now.\r\n\r'),
      Buffer.from('\n'),
    ]);
  };
  assert.deepEqual(words(await verifyDkim({ headers, body }, memoryDns(zone), { now })), ['pass', 'pass']);
  assert.equal(bodies, 1);
});

const keyRecords: readonly [name: string, record: string, want: string][] = [
  ['another version', 'v=DKIM2; p=AAAA', 'key record is not of version DKIM1'],
  ['v= not first', `p=AAAA; v=DKIM1`, 'key record is not of version DKIM1'],
  ['no list', 'hello', 'key record is no list of tags'],
  ['no key', 'v=DKIM1; k=rsa', 'key record has no p='],
  ['an unknown type', 'k=dsa; p=AAAA', 'key type dsa is unknown'],
  ['what is no key', 'p=AAAA', 'key is no rsa key'],
  [
    'an Ed25519 key with ASN.1 around it',
    'k=ed25519; p=MCowBQYDK2VwAyEA3SUqa9UbfciWkk7tlcJ9P1VD5pXAasg0JUn/OgjVbKE=',
    'key is no ed25519 key',
  ],
];
for (const [name, record, want] of keyRecords) {
  test(`key record: ${name}`, () => assert.deepEqual(readPublicKey(record), { problem: want }));
}

test('the relaxed field, and the field without its signature', () => {
  assert.equal(relaxField('SUBJect \t: a \r\n\t b\t'), 'subject:a b');
  assert.equal(relaxField('X:'), 'x:');
  assert.equal(
    withoutSignature('DKIM-Signature: v=1; b=abc\r\n\tdef; bh=x'),
    'DKIM-Signature: v=1; b=; bh=x',
  );
  assert.equal(withoutSignature('DKIM-Signature: bh=b=; b = abc'), 'DKIM-Signature: bh=b=; b =');
});

test('tags that are not there, and a list that is none', () => {
  for (const [value, reason] of [
    ['v=1; a=rsa-sha256; d=example.org; s=s; h=from; bh=AAAA', 'b= is missing'],
    ['v=1; a=rsa-sha256; b=!; d=example.org; s=s; h=from; bh=AAAA', 'b= is no base64'],
    ['v=1; a=rsa-sha256; b=AAAA; d=example.org; s=../x; h=from; bh=AAAA', 's= is no selector'],
    ['v=1;;', 'signature is no list of tags'],
  ] as const) {
    assert.equal((parseDkimSignature(value) as { reason: string }).reason, reason);
  }
});
