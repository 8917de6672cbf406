/** OpenSPF's suite for RFC 7208, case by case. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { checkHost } from '../../../core/auth/spf/check-host.ts';
import { memoryDns } from '../../../core/net/dns-zone.ts';
import { requireSuite } from '../../kit/require.ts';
import { type SuiteZone, zoneOf } from './spf-zone.ts';

interface Scenario {
  readonly description: string;
  readonly tests: Readonly<Record<string, Case>>;
  readonly zonedata: SuiteZone;
}
interface Case {
  readonly helo: string;
  readonly host: string;
  readonly mailfrom: string;
  readonly result: string | readonly string[];
  readonly explanation?: string;
}

test('the suite', async (t) => {
  const file = requireSuite(t, 'spf/rfc7208-tests-part.yml');
  if (file === undefined) return;
  const scenarios = parseAllDocuments(readFileSync(file, 'utf8')).map(
    (each) => each.toJS() as Scenario | null,
  );
  let count = 0;
  for (const scenario of scenarios) {
    if (scenario === null) continue;
    const dns = memoryDns(zoneOf(scenario.zonedata));
    for (const [name, each] of Object.entries(scenario.tests)) {
      count++;
      await t.test(`${scenario.description}: ${name}`, async () => {
        const { helo, host: ip, mailfrom } = each;
        const sender = mailfrom === '' ? `postmaster@${helo}` : mailfrom;
        const question = { ip, sender, helo, receiver: 'mx.example.org', now: 0 };
        const { result, explanation, problem } = await checkHost(question, dns);
        assert.ok([each.result].flat().includes(result), `${result} ${problem}`);
        // What the suite calls DEFAULT is a fail without words of the domain's own.
        if (each.explanation !== undefined && result === 'fail')
          assert.equal(explanation ?? 'DEFAULT', each.explanation);
      });
    }
  }
  assert.equal(count, 125);
});
