/** The real spamd: every command of the client, and the plugin. Its own rules only, no network tests. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { SpamAssassinClient, SpamdError } from 'mailfilter/spamassassin-client';
import { testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/spamassassin/index.ts';
import { collect } from '../kit/command.ts';
import { accepts } from '../kit/postfix.ts';
import { requireProgram } from '../kit/require.ts';
import { until } from '../kit/server.ts';
import { startSpamd } from '../kit/spamd.ts';

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X';
const mail = (body: string) =>
  `From: Ann <ann@example.org>\r\nTo: alice@example.test\r\nSubject: lunch\r\nMessage-ID: <1@example.org>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n${body}\r\n`;

test('spamd answers every command', async (t) => {
  const spamd = await startSpamd(t);
  if (!spamd) return;
  const { port } = spamd;
  const client = new SpamAssassinClient({ host: '127.0.0.1', port, timeout: 15 });

  await t.test('ping, check, symbols, report, as the public package has them', async () => {
    assert.deepEqual(await client.ping(), { code: 0, message: 'PONG' });
    const ham = await client.check(mail('See you at noon.'));
    assert.equal(ham.code, 0);
    assert.equal(ham.message, 'EX_OK');
    assert.equal(ham.spam, false);
    const spam = await client.check(Buffer.from(mail(gtube)));
    assert.equal(spam.spam, true);
    assert.ok(spam.score > 900);
    assert.ok((await client.symbols(mail(gtube))).symbols.includes('GTUBE'));
    const { report, rules } = await client.report(mail(gtube));
    assert.match(report, /GTUBE/);
    assert.ok(rules.some(({ name, score }) => name === 'GTUBE' && score === 1000));
    assert.equal((await client.report(mail('See you at noon.'), { ifSpam: true })).report.trim(), '');
  });

  await t.test('process and headers give the message back', async () => {
    const processed = await client.process(mail('See you at noon.'));
    assert.match(processed.content.toString(), /^X-Spam-Status: No, [\s\S]*See you at noon\./m);
    const header = (await client.headers(mail(gtube))).content.toString();
    assert.match(header, /^X-Spam-Flag: YES/m);
    assert.doesNotMatch(header, /GTUBE-STANDARD/);
  });

  await t.test('tell learns and forgets', async () => {
    const message = mail('Ten thousand watches, cheap, today only.');
    const learnt = await client.learn(message, 'spam');
    assert.deepEqual(learnt.didSet, ['local']);
    const forgotten = await client.forget(message);
    assert.deepEqual(forgotten.didRemove, ['local']);
  });

  await t.test('compressed, and for a user', async () => {
    const far = new SpamAssassinClient({ port, timeout: 15, compress: true, user: 'alice@example.test' });
    assert.equal((await far.check(mail(gtube))).spam, true);
  });

  await t.test('the same verdict as spamc', async (sub) => {
    const spamc = requireProgram(sub, 'spamc');
    if (!spamc) return;
    for (const message of [mail('See you at noon.'), mail(gtube)]) {
      const { stdout } = await collect(spawn(spamc, ['-c', '-d', '127.0.0.1', '-p', String(port)]), message);
      const { score, threshold } = await client.check(message);
      assert.equal(stdout.trim(), `${score.toFixed(1)}/${threshold.toFixed(1)}`);
    }
  });

  await t.test('the plugin gives score, symbols and result', async () => {
    const tested = testPlugin(plugin, { options: { port, host: '127.0.0.1' }, timeoutSeconds: 15 });
    const { answer, verdict } = await tested.message({ message: mail(gtube) });
    assert.equal(verdict.action, 'continue');
    assert.ok(answer.score! > 900);
    assert.ok(answer.symbols!.some(({ name }) => name === 'GTUBE'));
    assert.equal((answer.result as { spam: boolean }).spam, true);
    const small = testPlugin(plugin, { options: { port, host: '127.0.0.1', maxBytes: 1000 } });
    const large = await small.message({ message: mail('x '.repeat(1000)) });
    assert.deepEqual(large.answer, { result: { scanned: false, reason: 'too large' } });
  });

  await t.test('killed, nothing passes', async () => {
    await spamd.kill();
    await until('spamd to be gone', async () => !(await accepts(port)));
    await assert.rejects(client.check(mail('x')), /no spamd answered: 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    assert.ok(!(await client.check(mail('x')).catch((error) => error instanceof SpamdError)));
  });
});
