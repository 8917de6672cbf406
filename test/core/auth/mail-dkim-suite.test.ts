/** The messages of Mail::DKIM's own tests: the verdict stands in the file's name. Deviations are named with the RFC's section. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type DkimResult, verifyDkim } from '../../../core/auth/dkim/verify.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { memoryDns, type ZoneRecords } from '../../../core/net/dns-zone.ts';
import { memorySource, readMessage } from '../../kit/message-source.ts';
import { requireSuite } from '../../kit/require.ts';

/** Lines of `name text`, or `name FAILURE`. */
function readZone(path: string): Record<string, ZoneRecords | 'SERVFAIL' | 'TIMEOUT'> {
  const zone: Record<string, ZoneRecords | 'SERVFAIL' | 'TIMEOUT'> = {};
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const match = /^([^#\s]\S*)\s+(.*)$/.exec(line);
    if (!match) continue;
    const [, name = '', text = ''] = match;
    if (text.includes('timed out')) zone[name] = 'TIMEOUT';
    else if (text.includes('SERVFAIL')) zone[name] = 'SERVFAIL';
    else if (text !== 'NXDOMAIN') zone[name] = { TXT: [text === '""' ? '' : text] };
  }
  return zone;
}

/** The messages are of years when SHA-1 and short keys were in use: what the crypto says is looked at first. */
const lenient = { now: Date.parse('2023-05-11'), allowSha1: true, rsaBitsMin: 512 };

/** What a name promises. A signature is good when it passes, ignored when nothing is made of it. */
const promised: readonly (readonly [prefix: RegExp, isKept: (results: readonly DkimResult[]) => boolean])[] =
  [
    [/^(?:bad_|good_)?dk_/, (results) => results.length === 0],
    [/^(?:good|goodkey|mine|no_body|multiple)/, (results) => results.some(({ result }) => result === 'pass')],
    [/^bad_/, (results) => results.every(({ result }) => result === 'fail')],
    // badkey3_ed25519 has a good key and a changed body.
    [/^badkey/, (results) => results.every(({ result }) => /^(?:permerror|temperror|fail)$/.test(result))],
    [/^ignore/, (results) => results.every(({ result }) => /^(?:neutral|permerror|policy)$/.test(result))],
  ];

/** Where RFC 6376 has another answer than the drafts that Mail::DKIM still understands. */
const noVersion = 'RFC 6376 section 3.5: v= is required';
const draftVersion = 'RFC 6376 section 3.5: v= is 1; 0.5 was a draft';
const granularity = 'RFC 6376 section 3.6.1: g= is a tag of RFC 4871 that no longer means anything';
const deviations: Readonly<Record<string, readonly [results: readonly string[], why: string]>> = {
  bad_1: [['permerror'], noVersion],
  bad_ietf01_2: [['permerror'], noVersion],
  good_ietf00_1: [['permerror'], noVersion],
  good_ietf00_3: [['permerror'], noVersion],
  good_ietf00_5: [['permerror'], noVersion],
  good_ietf01_2: [['permerror'], noVersion],
  mine_ietf01_2: [['permerror'], noVersion],
  mine_ietf01_4: [['permerror'], noVersion],
  multiple_1: [['permerror', 'permerror', 'permerror', 'permerror'], noVersion],
  badkey_2: [['neutral'], draftVersion],
  badkey_4: [['neutral'], draftVersion],
  badkey_6: [['neutral'], draftVersion],
  no_body_1: [['neutral'], draftVersion],
  no_body_3: [['neutral'], draftVersion],
  badkey_8: [['pass'], granularity],
  badkey_12: [['pass'], granularity],
};

test('every message verifies as its name says', async (t) => {
  const folder = requireSuite(t, 'dkim/mail-dkim');
  if (folder === undefined) return;
  const dns = memoryDns(readZone(join(folder, 'FAKE_DNS.dat')));
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  assert.ok(files.length >= 40);
  for (const file of files) {
    await t.test(basename(file, '.txt'), async () => {
      const message = openMessage(memorySource(readMessage(join(folder, file))), []);
      const results = await verifyDkim(message, dns, lenient);
      const found = JSON.stringify(results.map(({ result, reason }) => `${result} ${reason}`));
      const deviation = deviations[basename(file, '.txt')];
      if (deviation) {
        assert.deepEqual(
          results.map(({ result }) => result),
          deviation[0],
          `${found}: ${deviation[1]}`,
        );
        return;
      }
      const [, isKept] = promised.find(([prefix]) => prefix.test(file)) ?? [];
      assert.ok(isKept?.(results), found);
    });
  }
});
