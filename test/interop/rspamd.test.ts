/** rspamd as a milter and over HTTP: clean mail passes, GTUBE is refused in rspamd's own words, its edits are ours. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/rspamd/index.ts';
import { requireProgram } from '../kit/require.ts';
import { type Rspamd, startRspamd } from '../kit/rspamd.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X';
const mail = (body: string) =>
  `From: <ann@example.org>\nTo: <alice@example.test>\nSubject: x\nX-Spam: forged\nMessage-ID: <1@example.org>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n${body}\n`;

test('rspamd passes, refuses and edits', async (t) => {
  const program = requireProgram(t, 'swaks');
  const rspamd =
    program &&
    (await startRspamd(t, {
      'milter_headers.conf':
        'use = ["x-spamd-bar", "x-spam-level", "remove-headers"];\nskip_local = false;\nroutines { remove-headers { headers { "X-Old" = 0; } } }\n',
    }));
  if (!rspamd) return;
  await t.test('over HTTP', () => overHttp(rspamd));
  for (const [name, entry] of Object.entries({
    milter: { plugin: 'milter', options: { address: rspamd.milter } },
    rspamd: { plugin: 'rspamd', options: { url: rspamd.url } },
  })) {
    await t.test(`behind a server as plugins/${name}`, (sub) => behindServer(sub, program, entry, name));
  }
  await t.test('killed, nothing passes', async () => {
    await rspamd.kill();
    await assert.rejects(
      testPlugin(plugin, { options: { url: rspamd.url } }).message(),
      /no rspamd answered/,
    );
  });
});

async function overHttp({ url }: Rspamd): Promise<void> {
  const tested = testPlugin(plugin, { options: { url } });
  const clean = await tested.message({ message: `X-Old: gone\n${mail('hello')}` });
  assert.equal(clean.verdict.action, 'continue');
  assert.match(clean.message, /^X-Spamd-Bar: /m);
  assert.doesNotMatch(clean.message, /^X-Spam: forged|^X-Old/m);
  assert.ok((clean.answer.symbols ?? []).length > 0);
  const spam = await tested.message({ message: mail(gtube) });
  assert.deepEqual(spam.verdict, {
    action: 'reject',
    code: 554,
    enhanced: '5.7.1',
    text: 'Gtube pattern',
  });
  const counted = await testPlugin(plugin, { options: { url, actions: 'score' } }).message({
    message: mail(gtube),
  });
  assert.equal(counted.verdict.action, 'continue');
  assert.equal((counted.answer.result as { spam: boolean }).spam, true);
}

async function behindServer(t: TestContext, program: string, entry: object, name: string): Promise<void> {
  const server = await startServer({ inbound: [entry] });
  t.after(() => server.stop());
  const send = (body: string) =>
    swaks(program, { port: server.ports.smtp!, to: 'alice@example.test', message: mail(body) });
  assert.match((await send('hello')).reply, /^250 /, name);
  await until('the clean mail', () => server.messages('alice').length === 1);
  assert.match(readFileSync(server.messages('alice')[0]!, 'latin1'), /^hello$/m);
  assert.match((await send(gtube)).reply, /^5\d\d 5\.7\.1 .*[Gg]tube/);
  assert.equal(server.messages('alice').length, 1);
}
