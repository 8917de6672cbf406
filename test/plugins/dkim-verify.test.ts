/** dkim-verify: what it notes, and that want of DNS is never a pass. RFC 6376, RFC 8601. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type TestSetup, testPlugin } from 'mailfilter/testing';
import dkimVerify from '../../plugins/dkim-verify/index.ts';
import { requireSuite } from '../kit/require.ts';

const zone = (text: string) => ({ '2023-05-ed25519._domainkey.wander.science': { TXT: [text] } });
const key = 'v=DKIM1; k=ed25519; p=pP+YUyRjAvKha4Oc49KAY703oLUS1NLMEuGD3IHMKww=';
const clock = { now: () => Date.parse('2023-05-11'), monotonicMs: () => performance.now() };

async function verify(
  t: Parameters<typeof requireSuite>[0],
  setup: TestSetup,
  change = (text: string) => text,
) {
  const folder = requireSuite(t, 'dkim/mail-dkim');
  if (folder === undefined) return undefined;
  const message = change(readFileSync(join(folder, 'goodkey_ed25519.txt'), 'latin1'));
  return testPlugin(dkimVerify, { clock, ...setup }).message({ message });
}

test('a signature that verifies', async (t) => {
  const tested = await verify(t, { dns: zone(key) });
  if (tested === undefined) return;
  assert.equal(tested.verdict.action, 'continue');
  const [auth] = tested.answer.auth!;
  assert.equal(auth!.result, 'pass');
  assert.equal(auth!.properties!['header.d'], 'wander.science');
  const { signatures } = tested.answer.result as { signatures: { domain: string; result: string }[] };
  assert.deepEqual(
    signatures.map(({ domain, result }) => `${domain} ${result}`),
    ['wander.science pass'],
  );
});

test('one that does not', async (t) => {
  const tested = await verify(t, { dns: zone(key) }, (text) => text.replace(/^Subject: /m, 'Subject: Re: '));
  if (tested !== undefined) assert.equal(tested.answer.auth![0]!.result, 'fail');
});

test('no answer of DNS: a failure, or a temperror that is noted', async (t) => {
  const dns = { '2023-05-ed25519._domainkey.wander.science': 'TIMEOUT' as const };
  if (requireSuite(t, 'dkim/mail-dkim') === undefined) return;
  await assert.rejects(async () => verify(t, { dns }), /DNS has no answer/);
  const marked = await verify(t, { dns, options: { temperror: 'mark' } });
  assert.equal(marked!.answer.auth![0]!.result, 'temperror');
});

test('a message without a signature', async () => {
  const { answer } = await testPlugin(dkimVerify).message({ message: 'From: a@example.org\n\nHello.\n' });
  assert.deepEqual(answer.auth, [{ method: 'dkim', result: 'none' }]);
});
