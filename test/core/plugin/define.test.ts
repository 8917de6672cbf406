/** The face at compile time and at load. The `@ts-expect-error` lines are checked by tsc. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPlugin } from '../../../core/plugin/define.ts';
import { definePlugin, reject, reverseIp, tempfail } from '../../../core/plugin/index.ts';

test('options have the types of their schemas', () => {
  const plugin = definePlugin({
    name: 'typed',
    options: {
      zones: { type: 'array', items: { type: 'string' } },
      mode: { type: 'string', enum: ['reject', 'score'] },
      size: { type: 'integer', default: 3 },
      key: { type: 'string' },
      rules: {
        type: 'array',
        items: {
          type: 'object',
          properties: { name: { type: 'string' }, weight: { type: 'number', default: 1 } },
          required: ['name'],
        },
      },
      table: { type: 'object', additionalProperties: { type: 'string' } },
    },
    required: ['key'],
    hooks: {
      connect(_, { options }) {
        const zones: readonly string[] = options.zones;
        const mode: 'reject' | 'score' | undefined = options.mode;
        const size: number = options.size;
        const key: string = options.key;
        const weights: number[] = options.rules.map((rule) => rule.weight + rule.name.length);
        const target: string | undefined = options.table?.a;
        // @ts-expect-error no such option
        void options.zone;
        // @ts-expect-error may be left out
        const always: string = options.mode;
        return { result: [zones.length, mode ?? null, size, key, weights, target ?? null, always ?? null] };
      },
    },
  });
  assert.equal(plugin.name, 'typed');
});

test('what setup answers has its type in every hook, and in dispose', () => {
  const awaited = definePlugin({
    name: 'awaited',
    options: { words: { type: 'array', items: { type: 'string' } } },
    async setup({ options }) {
      return { words: new Set(options.words), pattern: /x/ };
    },
    dispose({ prepared, options }) {
      const words: Set<string> = prepared.words;
      void [words, options.words];
    },
    hooks: {
      message(_, { prepared }) {
        const words: ReadonlySet<string> = prepared.words;
        // @ts-expect-error no such part
        void prepared.word;
        return words.size > 0 && prepared.pattern.test('x') ? reject() : undefined;
      },
      connect: async (_, { prepared }) => ({ result: [...prepared.words] }),
    },
  });
  const given = definePlugin({
    name: 'given',
    setup: ({ hostname }) => hostname.length,
    hooks: { helo: (_, { prepared }) => ({ score: prepared * 2 }) },
  });
  const without = definePlugin({
    name: 'without',
    hooks: {
      helo(_, { prepared }) {
        const nothing: undefined = prepared;
        // @ts-expect-error there is no setup
        void prepared.length;
        return nothing;
      },
    },
  });
  assert.deepEqual(
    [awaited, given, without].map(({ name }) => name),
    ['awaited', 'given', 'without'],
  );
});

test('what the compiler refuses', () => {
  const undeclared = {
    name: 'x',
    options: { a: { type: 'string' } },
    required: ['b'],
    hooks: {},
  } as const;
  // @ts-expect-error required names no option
  assert.throws(() => definePlugin(undeclared), /"b", which does not exist/);
  // @ts-expect-error no such hook
  assert.throws(() => definePlugin({ name: 'x', hooks: { mesage() {} } }), /unknown hook "mesage"/);
  // @ts-expect-error no such key in an answer
  definePlugin({ name: 'x', hooks: { message: () => ({ verdcit: reject() }) } });
  // @ts-expect-error no such power
  assert.throws(() => definePlugin({ name: 'x', needs: ['fly'], hooks: {} }), /"fly", which does not exist/);
});

const unsound: readonly [name: string, value: unknown, message: RegExp][] = [
  ['nothing', undefined, /no plugin/],
  ['a function', () => 1, /no plugin/],
  ['no name', { hooks: {} }, /plugin name/],
  ['a name with capitals', { name: 'Dnsbl', hooks: {} }, /plugin name "Dnsbl"/],
  ['no hooks', { name: 'x' }, /no hooks/],
  ['a hook that is no function', { name: 'x', hooks: { message: true } }, /message is no function/],
  ['an unknown key', { name: 'x', hooks: {}, hook: {} }, /unknown key "hook"/],
  ['an unknown effect', { name: 'x', hooks: {}, writes: ['subject'] }, /writes holds/],
  ['an unknown kind', { name: 'x', hooks: {}, kind: 'filter' }, /kind is one of/],
  ['an unknown affinity', { name: 'x', hooks: {}, affinity: 'thread' }, /affinity/],
];

for (const [name, value, message] of unsound) {
  test(`refused at load: ${name}`, () => assert.throws(() => readPlugin(value), message));
}

test('the class of an enhanced status comes from the code', () => {
  assert.deepEqual(reject(554, '4.7.1', 'no'), {
    action: 'reject',
    code: 554,
    enhanced: '5.7.1',
    text: 'no',
  });
  assert.deepEqual(tempfail(451, '5.7.1', 'later'), {
    action: 'tempfail',
    code: 451,
    enhanced: '4.7.1',
    text: 'later',
  });
  assert.throws(() => reject(450), RangeError);
  assert.throws(() => tempfail(550), RangeError);
  assert.throws(() => reject(550, '5.7'), RangeError);
});

const addresses: readonly [ip: string, want: string][] = [
  ['192.0.2.1', '1.2.0.192'],
  ['::ffff:192.0.2.1', '1.2.0.192'],
  ['::ffff:c000:201', '1.2.0.192'],
  // RFC 5782 section 2.4.
  ['2001:db8:1:2:3:4:567:89ab', 'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2'],
  ['::1', `1.${'0.'.repeat(30)}0`],
  ['fe80::1%eth0', `1.${'0.'.repeat(28)}8.e.f`],
  ['::', `${'0.'.repeat(31)}0`],
];

for (const [ip, want] of addresses) test(`reversed: ${ip}`, () => assert.equal(reverseIp(ip), want));

test('what is no address is an error', () =>
  assert.throws(() => reverseIp('client.example.org'), RangeError));
