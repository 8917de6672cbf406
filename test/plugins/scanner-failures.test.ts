/** Scanners that are dead, hang or talk nonsense: the plugin fails by name of the daemon, and nothing is called clean. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PluginTest, testPlugin } from 'mailfilter/testing';
import clamav from '../../plugins/clamav/index.ts';
import rspamd from '../../plugins/rspamd/index.ts';
import spamassassin from '../../plugins/spamassassin/index.ts';
import { freePort } from '../kit/free-port.ts';
import { scannerStubs } from '../kit/scanner-stubs.ts';
import { answering, type Behaviour, misbehaviours, startStubDaemon } from '../kit/stub-daemon.ts';

const plugins = { clamav, spamassassin, rspamd } as const;

async function failure(plugin: PluginTest): Promise<{ text: string; ms: number }> {
  const begun = performance.now();
  const error = await plugin.message().then(
    (answer) => assert.fail(`it answered ${JSON.stringify(answer.answer)}`),
    (reason: Error) => reason,
  );
  return { text: error.message, ms: performance.now() - begun };
}

for (const name of ['clamav', 'spamassassin', 'rspamd'] as const) {
  const { isWhole, good } = scannerStubs[name];
  const tested = (servers: string[], timeoutSeconds = 0.4) =>
    testPlugin(plugins[name], { options: { servers }, timeoutSeconds });
  const well: Behaviour = answering(isWhole, () => good);

  test(`${name}: a good daemon's word counts`, async (t) => {
    for (const unix of [false, true]) {
      const daemon = await startStubDaemon(t, well, { unix });
      const { answer } = await tested([daemon.address]).message();
      assert.equal((answer.result as { scanned: boolean }).scanned, true);
    }
  });

  for (const [what, behaviour] of Object.entries(misbehaviours(isWhole, good))) {
    test(`${name}: a daemon that ${what} is a failure that names it`, async (t) => {
      const daemon = await startStubDaemon(t, behaviour);
      const { text } = await failure(tested([daemon.address]));
      assert.match(text, new RegExp(daemon.address.replaceAll('.', '\\.')));
      assert.match(text, /^no (clamd|spamd|rspamd) answered: /);
    });

    test(`${name}: after a daemon that ${what} the next is asked`, async (t) => {
      const bad = await startStubDaemon(t, behaviour);
      const good = await startStubDaemon(t, well);
      const { answer } = await tested([bad.address, good.address]).message();
      assert.equal((answer.result as { scanned: boolean }).scanned, true);
    });
  }

  test(`${name}: nobody listens: failed at once, and not asked again for a while`, async (t) => {
    const port = await freePort();
    const lone = tested([`127.0.0.1:${port}`], 5);
    const first = await failure(lone);
    assert.match(first.text, /ECONNREFUSED/);
    assert.ok(first.ms < 1000, `${first.ms} ms`);
    assert.match((await failure(lone)).text, /rests after 1 failures: .*ECONNREFUSED/);
    t.diagnostic(first.text);
  });

  test(`${name}: a daemon that hangs costs a few waits, then none; and is used again when it is back`, async (t) => {
    const daemon = await startStubDaemon(t, () => {});
    const lone = tested([daemon.address], 0.3);
    for (let round = 0; round < 3; round += 1) {
      assert.match((await failure(lone)).text, /no answer within/);
    }
    const resting = await failure(lone);
    assert.match(resting.text, /rests after 3 failures: no answer within/);
    assert.ok(resting.ms < 100, `${resting.ms} ms`);
    assert.equal(daemon.connections, 3);
    daemon.behave(well);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    const back = await lone.message();
    assert.ok(back.log.some(({ event }) => event === 'daemon-up'));
  });

  test(`${name}: while a daemon rests, one message tries it and the others go round it`, async (t) => {
    const daemon = await startStubDaemon(t, (socket) => socket.destroy());
    const lone = tested([daemon.address], 0.5);
    const first = await Promise.all([1, 2, 3].map(() => failure(lone)));
    assert.equal(first.length, 3);
    const asked = daemon.connections;
    daemon.behave(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1050));
    await Promise.all([1, 2, 3, 4].map(() => failure(lone)));
    assert.equal(daemon.connections, asked + 1);
  });
}
