/** dkimpy, DKIM and ARC in Python, verifies what we sign and seal, and we verify its own. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sealArc } from '../../core/auth/arc/seal.ts';
import { verifyArc } from '../../core/auth/arc/verify.ts';
import { memoryDns } from '../../core/net/dns-zone.ts';
import { requirePeer } from '../kit/require.ts';
import {
  canonicalizations,
  domain,
  keyFolder,
  keyRecords,
  keys,
  messages,
  open,
  run,
  signHere,
  verifyHere,
  zone,
} from './dkim-messages.ts';

const folder = keyFolder();
const python = '/usr/bin/python3';
const hasDkimpy = existsSync('/usr/lib/python3/dist-packages/dkim/__init__.py');
const prelude = `
import sys, json, dkim
records = json.loads(sys.argv[1])
lookup = lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode()
message = sys.stdin.buffer.read()
`;
const records = JSON.stringify(keyRecords);
const script = (text: string, input: string, ...args: readonly string[]) =>
  run(python, ['-c', prelude + text, records, ...args], input);

test('it verifies our signatures', async (t) => {
  if (!requirePeer(t, 'dkimpy', hasDkimpy)) return;
  for (const [index, [title, text]] of Object.entries(messages).entries()) {
    const canonicalization = canonicalizations[index % canonicalizations.length]!;
    const signed = await signHere(text, 'rsa', canonicalization);
    const { stdout, stderr } = await script('print(dkim.verify(message, dnsfunc=lookup))', signed);
    assert.equal(stdout.trim(), 'True', `${title} ${canonicalization} ${stderr}`);
  }
});

test('we verify its signatures', async (t) => {
  if (!requirePeer(t, 'dkimpy', hasDkimpy)) return;
  const sign = `
h, b = sys.argv[3].encode().split(b'/')
sys.stdout.buffer.write(dkim.sign(message, b'rsa', b'${domain}', open(sys.argv[2], 'rb').read(), canonicalize=(h, b), include_headers=[b'from', b'to', b'subject']))`;
  for (const [index, [title, text]] of Object.entries(messages).entries()) {
    const canonicalization = canonicalizations[index % canonicalizations.length]!;
    const { stdout, stderr } = await script(sign, text, join(folder, 'rsa.pem'), canonicalization);
    const results = await verifyHere(stdout + text);
    assert.deepEqual(
      results.map(({ result }) => result),
      ['pass'],
      `${title} ${canonicalization} ${stderr}`,
    );
  }
});

const results = 'mx.example.org; dmarc=pass header.from=example.org';

async function sealHere(text: string, cv: 'none' | 'pass'): Promise<string> {
  const set = await sealArc(open(text), {
    key: { domain, selector: 'rsa', key: keys.rsa },
    now: Date.now(),
    cv,
    results,
    signedNames: ['From', 'To', 'Subject', 'Date', 'Message-ID'],
  });
  return `ARC-Seal: ${set!.seal}\r\nARC-Message-Signature: ${set!.messageSignature}\r\nARC-Authentication-Results: ${set!.results}\r\n${text}`;
}

test('it verifies our chain', async (t) => {
  if (!requirePeer(t, 'dkimpy', hasDkimpy)) return;
  for (const text of [messages.plain!, messages['white space everywhere']!]) {
    const twice = await sealHere(await sealHere(text, 'none'), 'pass');
    const { stdout, stderr } = await script('print(dkim.arc_verify(message, dnsfunc=lookup)[0])', twice);
    assert.equal(stdout.trim(), "b'pass'", stderr);
  }
});

test('we verify the chain that it goes on with', async (t) => {
  if (!requirePeer(t, 'dkimpy', hasDkimpy)) return;
  const seal = `
out = dkim.arc_sign(message, b'rsa', b'${domain}', open(sys.argv[2], 'rb').read(), b'mx.example.org', include_headers=[b'from', b'to', b'subject'])
sys.stdout.buffer.write(b''.join(out) + message)`;
  const first = `Authentication-Results: mx.example.org; arc=pass; dmarc=pass\r\n${await sealHere(messages.plain!, 'none')}`;
  const { stdout, stderr } = await script(seal, first, join(folder, 'rsa.pem'));
  const chain = await verifyArc(open(stdout.replace(/\r?\n/g, '\r\n')), memoryDns(zone), { now: Date.now() });
  assert.equal(chain.result, 'pass', `${chain.reason} ${stderr}`);
  assert.equal(chain.instances, 2);
});
