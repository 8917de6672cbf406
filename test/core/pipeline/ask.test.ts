/** Questions of a call in a thread: their keys are the same in whatever thread the call runs again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Asker } from '../../../core/pipeline/ask.ts';
import { PluginCall } from '../../../core/pipeline/plugin-call.ts';
import type { FromThread } from '../../../core/pipeline/wire.ts';

test('a script that the thread knows counts as a question, as one that it asks for', async () => {
  const keysIn = (thread: ReturnType<typeof newThread>) => thread.run();
  const former = newThread();
  await keysIn(former);
  const [fresh, known] = [await keysIn(newThread()), await keysIn(former)];
  assert.deepEqual(fresh, { load: '7/0', claim: '7/1' });
  assert.deepEqual(known, { load: undefined, claim: '7/1' });
});

/** Answers every question at once; `run` tells the keys under which a call asked. */
function newThread() {
  const keys: Record<string, string> = {};
  const asker: Asker = new Asker((message: FromThread) => {
    if (message.type !== 'question') return;
    keys[message.method] = message.key;
    const value = message.method === 'load' ? { name: 'a', source: 'keep;', version: 'v1' } : true;
    queueMicrotask(() => asker.settle({ type: 'answer', id: message.id, value }));
  });
  return {
    async run() {
      delete keys.load;
      const init = { request: 1, code: 7, hook: 'deliver', plugin: 'p', user: 'u', timeoutMs: 1000 } as const;
      const call = new PluginCall({ ...init, scripts: { sieve: 'v1' } });
      assert.equal((await asker.scripts(call).load('sieve'))?.source, 'keep;');
      await asker.state(call).setIfAbsent('k', 1);
      return { load: keys.load, claim: keys.setIfAbsent };
    },
  };
}
