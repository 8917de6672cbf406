/** What is refused before any mail runs through a pipeline, and what is only said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPipeline } from '../../../core/pipeline/check.ts';
import { askManifests, loadManifests } from '../../../core/pipeline/manifests.ts';
import type { Effects, PluginManifest } from '../../../core/plugin/hooks.ts';
import { entry, open, plugin } from './pipeline-kit.ts';

function manifest(name: string, effects: Effects, more: Partial<PluginManifest> = {}): PluginManifest {
  return {
    name,
    hooks: ['message'],
    effects,
    options: {},
    requiredOptions: [],
    needs: [],
    affinity: 'any',
    ...more,
  };
}

const verify = manifest('dkim-verify', { kind: 'verify' });
const verifySender = manifest('spf', { kind: 'verify', reads: ['sender'] }, { hooks: ['mailFrom'] });
const score = manifest('bayes', { kind: 'score' });
const edit = manifest('header-rules', { writes: ['header:X-A'] });
const rewrite = manifest('aliases', { writes: ['recipients'] }, { hooks: ['rcptTo'] });
const sign = manifest('dkim-sign', { kind: 'sign', writes: ['header:DKIM-Signature'] });
const signLate = manifest('dkim-sign', { kind: 'sign' }, { hooks: ['send'] });
const deliver = manifest('sieve', { kind: 'deliver' }, { hooks: ['deliver'] });

const orders: readonly [name: string, manifests: readonly PluginManifest[], want: RegExp | undefined][] = [
  ['verify, score, edit, sign', [verify, score, edit, sign, deliver], undefined],
  ['an edit before a verifier', [edit, verify], /header-rules edits the message before dkim-verify/],
  ['an edit after a signer', [sign, edit], /header-rules edits the message after dkim-sign/],
  ['an edit after a signer of a later stage', [signLate, edit], undefined],
  ['a rewritten recipient before a verifier', [rewrite, verify], undefined],
  [
    'an edit of a field that the verifier does not read',
    [edit, manifest('v', { kind: 'verify', reads: ['body'] })],
    undefined,
  ],
  ['an edit before a verifier of an earlier stage', [edit, verifySender], undefined],
  ['two signers', [sign, manifest('arc-seal', { kind: 'sign' })], undefined],
];

for (const [name, manifests, want] of orders) {
  test(`order: ${name}`, () => {
    const { problems } = checkPipeline(
      'in',
      manifests.map(({ name }) => entry(name)),
      manifests,
    );
    assert.equal(problems.length, want === undefined ? 0 : 1, JSON.stringify(problems));
    if (want !== undefined) assert.match(problems[0]!.message, want);
  });
}

test('a power that a door lacks is an error, a hook it never raises a note', () => {
  const needy = manifest('needy', {}, { needs: ['ownReceived'], hooks: ['auth', 'message', 'send'] });
  const { problems } = checkPipeline('in', [entry('needy')], [needy], ['smtp', 'milter']);
  assert.deepEqual(problems, [
    {
      severity: 'error',
      pointer: '/pipelines/in/0',
      message: 'plugin needy needs ownReceived, which the door milter lacks',
    },
    {
      severity: 'note',
      pointer: '/pipelines/in/0',
      message: 'the door milter never raises auth of plugin needy',
    },
  ]);
});

test('who changes Received is told where the field of the last hop is out of reach', () => {
  const strip = manifest('strip', { writes: ['header:*', 'header:Received'] }, { hooks: ['message'] });
  const rules = manifest('rules', { writes: ['header:*'] }, { hooks: ['message'] });
  const entries = [entry('strip'), entry('rules')];
  assert.deepEqual(checkPipeline('in', entries, [strip, rules], ['smtp']).problems, []);
  const { problems } = checkPipeline('in', entries, [strip, rules], ['milter']);
  assert.equal(problems.length, 1);
  assert.equal(problems[0]!.severity, 'note');
  assert.match(problems[0]!.message, /strip does not see the Received field.*init milter/);
});

const options = manifest(
  'dnsbl',
  {},
  {
    options: {
      zones: { type: 'array', items: { type: 'string' } },
      mode: { type: 'string', enum: ['reject', 'score'] },
      size: { type: 'integer', default: 3 },
    },
    requiredOptions: ['mode'],
  },
);

const optionTable: readonly [name: string, given: Record<string, never>, pointer: string, message: RegExp][] =
  [
    [
      'an unknown option',
      { mode: 'score', zone: 'x' } as never,
      '/pipelines/in/0/options/zone',
      /unknown option "zone".*did you mean "zones"/,
    ],
    ['a wrong type', { mode: 'score', zones: 'x' } as never, '/pipelines/in/0/options/zones', /"x".*array/],
    [
      'a wrong item',
      { mode: 'score', zones: ['x', 5] } as never,
      '/pipelines/in/0/options/zones/1',
      /5.*string/,
    ],
    ['a wrong choice', { mode: 'scor' } as never, '/pipelines/in/0/options/mode', /"reject", "score"/],
    ['a missing option', {}, '/pipelines/in/0/options', /"mode" is missing/],
  ];

for (const [name, given, pointer, message] of optionTable) {
  test(`options: ${name}`, () => {
    const { problems } = checkPipeline('in', [entry('dnsbl', { options: given })], [options]);
    assert.deepEqual(
      problems.map((problem) => [problem.severity, problem.pointer]),
      [['error', pointer]],
    );
    assert.match(problems[0]!.message, message);
  });
}

test('options: defaults are filled in, a list left out is empty', () => {
  const given = entry('dnsbl', { options: { mode: 'score' } });
  assert.deepEqual(checkPipeline('in', [given], [options]).options, [{ mode: 'score', zones: [], size: 3 }]);
});

test('createPipelines refuses what the check refuses, with the place', async () => {
  await assert.rejects(
    open({ inbound: [entry('edit', { options: { valeu: 'x' } })] }),
    /^PipelineError: \/pipelines\/inbound\/0\/options\/valeu: /,
  );
  await assert.rejects(
    open({ inbound: [entry('kind-mutate'), entry('kind-verify')] }),
    /kind-mutate .* kind-verify/,
  );
  await assert.rejects(
    open({ inbound: [entry('/nowhere/x.ts')] }),
    /\/pipelines\/inbound\/0: there is no file/,
  );
  await assert.rejects(
    open({ inbound: [entry('edit', { plugin: 'no-such-plugin' })] }),
    /bundled are .*dnsbl/,
  );
});

test('manifests of bundled plugins and of files', async () => {
  const [dnsbl, edited] = await loadManifests(['dnsbl', plugin('edit')]);
  assert.equal(dnsbl?.name, 'dnsbl');
  assert.deepEqual(edited, {
    name: 'edit',
    hooks: ['message'],
    effects: { kind: undefined, reads: undefined, writes: ['header:X-Edit'] },
    options: { value: { type: 'string', default: 'yes' } },
    requiredOptions: [],
    needs: [],
    affinity: 'any',
    scripts: [],
  });
});

test('manifests: one that cannot be loaded is an error of its own', async () => {
  const [missing, good] = await askManifests(['no-such-plugin', plugin('edit')]);
  assert.match('error' in missing! ? missing.error : '', /no plugin is called/);
  assert.equal('manifest' in good! && good.manifest.name, 'edit');
  await assert.rejects(loadManifests(['no-such-plugin']), /no-such-plugin/);
});
