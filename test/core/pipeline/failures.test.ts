/** Whatever a plugin does, its policy is applied, the trace says so, and other mail in flight does not notice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FailureKind } from '../../../core/pipeline/request.ts';
import { entry, type Open, open, request } from './pipeline-kit.ts';

let house: Open;
before(async () => {
  const trouble = (onFailure: 'tempfail' | 'continue' | 'quarantine' | 'reject') => [
    entry('wait'),
    entry('trouble', { onFailure, timeoutSeconds: 0.25 }),
    entry('edit'),
  ];
  house = await open({
    // A heap takes its time to fill: no deadline may come first.
    patient: [entry('wait'), entry('trouble', { timeoutSeconds: 20 }), entry('edit')],
    tempfail: trouble('tempfail'),
    continue: trouble('continue'),
    quarantine: trouble('quarantine'),
    reject: trouble('reject'),
  });
});
after(() => house[Symbol.asyncDispose]());

const failures: readonly [trouble: string, kind: FailureKind, message: RegExp][] = [
  ['throw', 'throw', /thrown on purpose \(at .*trouble\.ts/],
  ['reject-promise', 'throw', /rejected on purpose/],
  ['throw-in-timer', 'throw', /thrown in a timer/],
  ['stray-rejection', 'throw', /nobody handles this/],
  ['never-answer', 'timeout', /no answer within 250 ms/],
  ['loop', 'timeout', /kept its thread busy/],
  ['loop-later', 'timeout', /kept its thread busy/],
  ['loop-of-promises', 'timeout', /kept its thread busy/],
  ['eat-memory', 'thread-died', /memory limit/],
  ['exit', 'thread-died', /the thread ended itself/],
  ['exit-later', 'thread-died', /the thread ended itself/],
  ['shape-number', 'bad-answer', /the answer is 42/],
  ['shape-key', 'bad-answer', /unknown key "verdcit"/],
  ['shape-code', 'bad-answer', /250/],
  ['shape-class', 'bad-answer', /450 is not 5yz/],
  ['shape-header', 'bad-answer', /X-A/],
  ['shape-recipient', 'bad-answer', /r99/],
  ['shape-function', 'bad-answer', /function/],
  ['mutate-input', 'throw', /read only/],
  ['mutate-message', 'throw', /read only/],
];

for (const [trouble, kind, message] of failures) {
  test(`${trouble}: the policy is applied, others pass`, async () => {
    const others = Array.from({ length: 20 }, (_, index) =>
      house.pipelines.run(request(`X-Wait: ${index % 2 === 0 ? 0 : 150}\n\nx`, { pipeline: 'tempfail' })),
    );
    const pipeline = trouble === 'eat-memory' ? 'patient' : 'tempfail';
    const outcome = await house.pipelines.run(request(`Subject: ${trouble}\n\nbody`, { pipeline }));
    assert.deepEqual(outcome.verdict, {
      action: 'tempfail',
      code: 451,
      enhanced: '4.3.0',
      text: 'temporary failure, try again later',
    });
    const { failure, plugin, stage } = outcome.trace.at(-1)!;
    assert.deepEqual(
      [plugin, stage, failure?.kind, failure?.policy],
      ['trouble', 'message', kind, 'tempfail'],
    );
    assert.match(failure!.message, message);
    for (const other of await Promise.all(others)) {
      assert.equal(other.verdict.action, 'continue');
      assert.deepEqual(
        other.trace.map((line) => [line.plugin, line.failure]),
        [
          ['wait', undefined],
          ['trouble', undefined],
          ['edit', undefined],
        ],
      );
    }
  });
}

const policies = [
  ['continue', { action: 'continue' }, true],
  ['quarantine', { action: 'quarantine', reason: 'the plugin trouble failed' }, true],
  ['reject', { action: 'reject', code: 554, enhanced: '5.3.0', text: 'message refused' }, false],
] as const;

for (const [policy, verdict, goesOn] of policies) {
  for (const trouble of ['throw', 'loop', 'exit']) {
    test(`${trouble} under ${policy}`, async () => {
      const outcome = await house.pipelines.run(request(`Subject: ${trouble}\n\nbody`, { pipeline: policy }));
      assert.deepEqual(outcome.verdict, verdict);
      assert.deepEqual(
        outcome.trace.map(({ plugin, failure }) => [plugin, failure?.policy]),
        goesOn
          ? [
              ['wait', undefined],
              ['trouble', policy],
              ['edit', undefined],
            ]
          : [
              ['wait', undefined],
              ['trouble', policy],
            ],
      );
      assert.equal(outcome.state.score, goesOn ? 1.5 : 0);
    });
  }
}

test('what a plugin prints reaches the log, with its name, and not standard output', async () => {
  house.lines.length = 0;
  await house.pipelines.run(request('Subject: garbage\n\nx', { pipeline: 'tempfail' }));
  // The lines come by the port, beside the outcome.
  for (let tries = 0; tries < 100 && house.lines.length < 3; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  const printed = house.lines.filter(({ event }) => event === 'plugin-output');
  assert.deepEqual(
    printed.map(({ plugin, text }) => [plugin, text]),
    [
      ['trouble', 'garbage on standard output'],
      ['trouble', '\0\u0001more'],
      ['trouble', '\ufffd\ufffd'],
    ],
  );
});
