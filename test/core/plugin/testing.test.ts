/** testPlugin: a test of a plugin in a few lines, as strict as the threads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addHeader,
  addRecipient,
  changeSender,
  definePlugin,
  deleteRecipient,
  reject,
  replaceBody,
} from 'mailfilter/plugin';
import { testPlugin } from 'mailfilter/testing';

const listed = definePlugin({
  name: 'listed',
  options: {
    zones: { type: 'array', items: { type: 'string' } },
    header: { type: 'string', default: 'X-Seen' },
  },
  hooks: {
    async connect({ connection }, { options, dns, log }) {
      for (const zone of options.zones) {
        if ((await dns.a(`${connection.remoteIp}.${zone}`)).length === 0) continue;
        log('listed', { zone });
        return reject(554, '5.7.1', `listed by ${zone}`);
      }
    },
    message: ({ envelope }, { options }) => ({
      edits: [addHeader(options.header, envelope.sender), replaceBody('new\nbody\n'), changeSender('')],
    }),
    rcptTo: ({ recipient }) => ({
      edits: [deleteRecipient(recipient.address), addRecipient('a@x.test'), addRecipient('b@x.test')],
    }),
    mailFrom: async (_, { state }) => ({ result: await state.increment('seen', 1, { ttlSeconds: 60 }) }),
  },
});

test('a hook runs with options, a DNS table and no network', async () => {
  const plugin = testPlugin(listed, {
    options: { zones: ['bl.test'] },
    dns: { '192.0.2.1.bl.test': { A: ['127.0.0.2'] } },
  });
  const { verdict, log } = await plugin.connect();
  assert.deepEqual(verdict, { action: 'reject', code: 554, enhanced: '5.7.1', text: 'listed by bl.test' });
  assert.deepEqual(log, [{ event: 'listed', facts: { zone: 'bl.test' } }]);
  assert.equal((await plugin.connect({ connection: { remoteIp: '192.0.2.2' } })).verdict.action, 'continue');
});

test('a list left out is empty', async () => {
  assert.equal((await testPlugin(listed).connect()).verdict.action, 'continue');
});

test('a DNS failure rejects, and says that it is temporary', async () => {
  const plugin = testPlugin(listed, {
    options: { zones: ['bl.test'] },
    dns: { '192.0.2.1.BL.test': { A: 'SERVFAIL' } },
  });
  await assert.rejects(plugin.connect(), { name: 'DnsError', temporary: true });
});

test('the message and the envelope come out edited', async () => {
  const { message, envelope, edits } = await testPlugin(listed).message({
    sender: 'x@y.test',
    message: 'Subject: a\n\nold\n',
  });
  assert.equal(message, 'Subject: a\nX-Seen: x@y.test\n\nnew\nbody\n');
  assert.equal(envelope.sender, '');
  assert.equal(edits.length, 3);
});

test('rcptTo answers where the recipient leads', async () => {
  assert.deepEqual((await testPlugin(listed).rcptTo({ recipient: 'info@x.test' })).targets, [
    'a@x.test',
    'b@x.test',
  ]);
});

test("state lasts between hooks and can be looked into; time is the test's", async () => {
  let now = 1000;
  const clock = { now: () => now, monotonicMs: () => now };
  const plugin = testPlugin(listed, { clock, state: { seen: 4 } });
  assert.equal((await plugin.mailFrom()).answer.result, 5);
  assert.deepEqual(plugin.state.all, { seen: 5 });
  const fresh = testPlugin(listed, { clock });
  await fresh.mailFrom();
  now += 61_000;
  assert.equal((await fresh.mailFrom()).answer.result, 1);
});

const failing: readonly [name: string, message: () => unknown, want: RegExp][] = [
  ['an answer of another shape', () => ({ verdcit: 1 }), /unknown key "verdcit"/],
  ['a function in the result', () => ({ result: { f() {} } }), /function/],
  ['no answer', () => new Promise(() => {}), /has not answered within 0.05 s/],
];

for (const [name, message, want] of failing) {
  test(`rejected, as the pipeline would: ${name}`, async () => {
    const plugin = definePlugin({ name: 'failing', hooks: { message: message as () => undefined } });
    await assert.rejects(testPlugin(plugin, { timeoutSeconds: 0.05 }).message(), want);
  });
}

test('input cannot be changed', async () => {
  const plugin = definePlugin({
    name: 'writes',
    hooks: {
      message({ envelope }) {
        (envelope.recipients as unknown[]).push('x');
      },
    },
  });
  await assert.rejects(testPlugin(plugin).message(), TypeError);
});

test('options are checked, and every mistake is told', () => {
  assert.throws(
    () => testPlugin(listed, { options: { zone: 'x', header: 5 } }),
    /\/options\/zone: unknown option "zone"; expected one of zones, header; did you mean "zones"\?\n\/options\/header: found 5, which must be string/,
  );
});

test('a hook that the plugin does not have is an error', async () => {
  await assert.rejects(testPlugin(listed).helo(), /no hook helo/);
});

test('setup runs once, before the first hook; hooks and dispose have what it answered', async () => {
  let times = 0;
  const disposed: unknown[] = [];
  const definition = definePlugin({
    name: 'prepared',
    options: { word: { type: 'string', default: 'a' } },
    async setup({ options }) {
      times += 1;
      return { word: new RegExp(options.word), times };
    },
    dispose: ({ prepared, options }) => void disposed.push([prepared.word.source, options.word]),
    hooks: { message: (_, { prepared }) => ({ result: [prepared.word.source, prepared.times] }) },
  });
  const plugin = testPlugin(definition, { options: { word: 'b' } });
  await plugin.message();
  assert.deepEqual((await plugin.message()).answer.result, ['b', 1]);
  await plugin.dispose();
  assert.deepEqual(disposed, [['b', 'b']]);
  assert.deepEqual((await testPlugin(definition).message()).answer.result, ['a', 2]);
});
