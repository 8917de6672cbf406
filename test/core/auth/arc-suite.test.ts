/** ValiMail's suite for ARC: chains to be validated, and sets to be made octet by octet. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { sealArc } from '../../../core/auth/arc/seal.ts';
import { verifyArc } from '../../../core/auth/arc/verify.ts';
import { parseTagList } from '../../../core/auth/tag-list.ts';
import { isOurs } from '../../../core/mail/authentication-results.ts';
import type { Message } from '../../../core/mail/message.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { memoryDns } from '../../../core/net/dns-zone.ts';
import { memorySource } from '../../kit/message-source.ts';
import { requireSuite } from '../../kit/require.ts';

interface Scenario<Case> {
  readonly description: string;
  readonly tests: Readonly<Record<string, Case>>;
  readonly 'txt-records': Readonly<Record<string, string>>;
  readonly domain: string;
  readonly sel: string;
  readonly privatekey: string;
}

function scenarios<Case>(file: string): Scenario<Case>[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).flatMap(
    (each) => (each.toJS() as Scenario<Case> | null) ?? [],
  );
}

function open(text: string): Message {
  return openMessage(memorySource(Buffer.from(text.replace(/\r?\n/g, '\r\n'))), []);
}

function zone(records: Readonly<Record<string, string>>) {
  return memoryDns(
    Object.fromEntries(
      Object.entries(records).map(([name, text]) => [name, { TXT: [text.replace(/\n/g, '')] }]),
    ),
  );
}

test('chains are validated', async (t) => {
  const file = requireSuite(t, 'arc/arc-validation-part.yml');
  if (file === undefined) return;
  let count = 0;
  for (const { description, tests, 'txt-records': records } of scenarios<{ message: string; cv: string }>(
    file,
  )) {
    for (const [name, { message, cv }] of Object.entries(tests)) {
      count++;
      await t.test(`${description.trim()}: ${name}`, async () => {
        const { result, reason } = await verifyArc(open(message), zone(records), {
          now: 0,
          clockSkewSeconds: 1e9,
        });
        // Where the suite wants no word in particular, a sealer has said that the chain failed.
        assert.equal(result, cv.trim().toLowerCase() || 'fail', reason);
      });
    }
  }
  assert.equal(count, 89);
});

interface SignCase {
  readonly message: string;
  readonly t: number;
  readonly 'sig-headers': string;
  readonly 'srv-id': string;
  readonly AS: string;
  readonly AMS: string;
  readonly AAR: string;
}

/** What the suite's server wrote: all fields of its name as one. */
function mergedResults(message: Message, authservId: string): string {
  const own = message.headers.all('Authentication-Results').filter((value) => isOurs(value, authservId));
  const results = own.map((value) => value.slice(value.indexOf(';') + 1).trim());
  return `${authservId}; ${results.join('; ')}`;
}

const tagsOf = (text: string) =>
  Object.fromEntries([...parseTagList(text)!].map(([name, value]) => [name, value.replace(/\s+/g, '')]));
const words = (text: string) => text.replace(/\s+/g, ' ').trim();

test('sets are made', async (t) => {
  const file = requireSuite(t, 'arc/arc-sign-part.yml');
  if (file === undefined) return;
  let count = 0;
  for (const scenario of scenarios<SignCase>(file)) {
    const key = createPrivateKey(scenario.privatekey);
    for (const [name, each] of Object.entries(scenario.tests)) {
      count++;
      await t.test(`${scenario.description.trim()}: ${name}`, async () => {
        const message = open(each.message);
        const results = mergedResults(message, each['srv-id']);
        const chain = await verifyArc(message, zone(scenario['txt-records']), {
          now: 0,
          clockSkewSeconds: 1e9,
        });
        const set = await sealArc(message, {
          key: { domain: scenario.domain, selector: scenario.sel, key },
          now: each.t * 1000,
          cv: chain.result as 'none' | 'pass' | 'fail',
          results,
          signedNames: each['sig-headers'].split(':'),
        });
        if (each.AS.trim() === '') {
          assert.equal(set, undefined);
          return;
        }
        assert.equal(words(set!.results), words(each.AAR));
        assert.deepEqual(tagsOf(set!.messageSignature), tagsOf(each.AMS));
        assert.deepEqual(tagsOf(set!.seal), tagsOf(each.AS));
      });
    }
  }
  assert.equal(count, 9);
});
