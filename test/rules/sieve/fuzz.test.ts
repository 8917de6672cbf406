/** Broken scripts into the compiler, odd messages into compiled scripts: never a crash, never past the limits. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileSieve, runSieve } from '../../../rules/sieve/index.ts';
import { type RandomSource, randomSource } from '../../kit/random.ts';
import { projectRoot } from '../../kit/require.ts';
import { randomMessage, randomScript } from '../../kit/sieve-scripts.ts';
import { casesWithPigeonhole } from './cases-with-pigeonhole.ts';

const campaign = process.env.MAILFILTER_CAMPAIGN === '1';
const environment = {
  now: Date.parse('2026-11-21T09:00:00Z'),
  envelope: { from: 'a@x.example', to: 'b@y.example' },
};

/** Scripts of all extensions to begin from. */
function seeds(): string[] {
  const suite = join(projectRoot, '..', 'shared', 'suites', 'sieve', 'rfc');
  const rfc = globSync('*.sieve', { cwd: suite }).map((file) => readFileSync(join(suite, file), 'utf8'));
  return [...casesWithPigeonhole.map(({ script }) => script), ...rfc];
}

function mutated(random: RandomSource, text: string): Buffer {
  const octets = [...Buffer.from(text)];
  for (let change = 1 + random.below(6); change > 0 && octets.length > 0; change--) {
    const at = random.below(octets.length);
    const kind = random.below(5);
    if (kind === 0) octets[at] = random.below(256);
    else if (kind === 1) octets.splice(at, 1 + random.below(5));
    else if (kind === 2)
      octets.splice(
        at,
        0,
        ...Buffer.from(
          random.pick([
            '"',
            '{',
            '}',
            '[',
            ']',
            '(',
            ')',
            ';',
            ',',
            ':x',
            '${',
            'text:\n',
            '\\',
            '/*',
            '99G',
          ]),
        ),
      );
    else if (kind === 3) octets.splice(at, 0, ...octets.slice(at, at + random.below(40)));
    else octets.length = at;
  }
  return Buffer.from(octets);
}

/** A compiled script runs on any message; what is wrong becomes an error and a keep. */
async function runsSomehow(source: Uint8Array | string, message: Uint8Array): Promise<void> {
  const { program, errors, warnings } = compileSieve(source);
  for (const { line, column, message: text } of [...errors, ...warnings]) {
    assert.ok(line >= 1 && column >= 1 && text.length > 0 && text.length < 2000);
  }
  if (!program) {
    assert.ok(errors.length > 0);
    return;
  }
  const outcome = await runSieve(program, message, environment, { trace: true });
  assert.ok(outcome.actions.length > 0);
  if (outcome.error)
    assert.deepEqual(
      outcome.actions.map(({ type }) => type),
      ['keep'],
    );
  structuredClone(outcome);
}

test('random octets compile or are refused', () => {
  const random = randomSource('sieve octets');
  for (let round = 0; round < (campaign ? 20_000 : 2000); round++) {
    const { errors, program } = compileSieve(random.bytes(random.below(200)));
    assert.ok(program !== undefined || errors.length > 0);
  }
});

test('mutated scripts compile and run, or are refused', async () => {
  const random = randomSource('sieve mutations');
  const from = seeds();
  for (let round = 0; round < (campaign ? 30_000 : 2500); round++) {
    await runsSomehow(mutated(random, random.pick(from)), Buffer.from(randomMessage(random)));
  }
});

test('generated scripts run on broken messages', async () => {
  const random = randomSource('sieve messages');
  const parts = casesWithPigeonhole[0]!.message;
  const scripts = casesWithPigeonhole.map(({ script }) => script);
  for (let round = 0; round < (campaign ? 20_000 : 1500); round++) {
    const script = random.below(3) === 0 ? randomScript(random, 5) : random.pick(scripts);
    const message = random.below(4) === 0 ? random.bytes(random.below(500)) : mutated(random, parts);
    await runsSomehow(script, message);
  }
});
