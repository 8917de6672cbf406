/** Users' scripts in a plugin's thread: asked for once, and again when they are others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserScript } from '../../../core/plugin/hooks.ts';
import { entry, open, request } from './pipeline-kit.ts';

test('a script is asked for once in each version, and each user gets the own one', async () => {
  const scripts = new Map<string, UserScript>([
    ['ann', { name: 'a', source: 'keep', version: '1' }],
    ['bob', { name: 'b', source: 'stop', version: '1' }],
  ]);
  const loaded: string[] = [];
  await using house = await open(
    { inbound: [entry('scripts')] },
    {
      services: {
        dns: undefined as never,
        state: undefined as never,
        mailboxes: undefined as never,
        scripts: (user) => ({
          load: async () => {
            loaded.push(user);
            return scripts.get(user);
          },
          note: async () => {},
        }),
        scriptVersion: (user) => scripts.get(user)?.version ?? '',
      },
    },
  );
  const deliver = async (user: string) => {
    const recipient = { id: 'r1', address: `${user}@example.test`, original: '', notify: [] };
    const { recipients, trace } = await house.pipelines.run(
      request('Subject: x\n\nhello\n', {
        stages: ['deliver'],
        deliveries: [{ recipient, user, detail: '', addresses: [] }],
      }),
    );
    const [action] = recipients.r1?.actions ?? [];
    assert.deepEqual(
      trace[0]?.asked?.map(({ what }) => what),
      ['scripts.load("sieve")', 'scripts.load("sieve")'],
    );
    return action?.type === 'discard' && action.reason;
  };
  assert.equal(await deliver('ann'), 'keep, true');
  assert.equal(await deliver('ann'), 'keep, true');
  assert.equal(await deliver('bob'), 'stop, true');
  assert.deepEqual(loaded, ['ann', 'bob']);
  scripts.set('ann', { name: 'a', source: 'discard', version: '2' });
  assert.equal(await deliver('ann'), 'discard, true');
  scripts.delete('ann');
  assert.equal(await deliver('ann'), 'undefined, true');
  assert.deepEqual(loaded, ['ann', 'bob', 'ann']);
});
