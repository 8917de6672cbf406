/** The milter door behind Sendmail: the same edits as behind Postfix, refusals at each stage, discard, quarantine, a dead filter. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startSendmail } from '../kit/sendmail.ts';
import { startServer, until } from '../kit/server.ts';
import { type SwaksOptions, swaks } from '../kit/swaks.ts';
import { bodyOf, edited, fieldsOf, messageFor } from './milter-cases.ts';
import { assertLarge, sendLarge, untilItHangs } from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

const refused: { at: string; from?: string; to?: string; told?: string; args?: string[]; want: RegExp }[] = [
  { at: 'connect', args: ['--local-interface', '127.0.0.2'], want: /^554 / },
  { at: 'helo', args: ['--helo', 'helo-reject.example.org'], want: /^550 5\.7\.1 / },
  { at: 'mail', from: 'mail-reject@example.org', want: /^550 5\.7\.1 and that is final/ },
  { at: 'mail, for now', from: 'mail-tempfail@example.org', want: /^451 4\.7\.1 come back later/ },
  { at: 'rcpt', to: 'rcpt-reject@example.test', want: /^550 5\.7\.1 / },
  { at: 'data, for now', from: 'data-tempfail@example.org', want: /^451 4\.7\.1 / },
  { at: 'message', told: 'reject', want: /^550 5\.7\.1 and that is final/ },
  { at: 'message, for now', told: 'tempfail', want: /^451 4\.7\.1 come back later/ },
  {
    at: 'message, edits that differ',
    told: 'differ',
    to: 'alice@example.test,bob@example.test',
    want: /^451 4\.3\.0 /,
  },
];

test('behind Sendmail: every edit, refusal, discard and quarantine', async (t) => {
  const program = requireProgram(t, 'swaks');
  if (!program) return;
  const server = await startServer({
    config: { listeners: { milter: { protocol: 'milter', address: '127.0.0.1:0', pipeline: 'inbound' } } },
    inbound: [{ plugin }],
  });
  t.after(() => server.stop());
  const filter = `Xmailfilter, S=inet:${server.ports.milter}@127.0.0.1, F=T, T=S:6s;R:6s;E:1m`;
  const sendmail = await startSendmail(t, { lines: ['O InputMailFilters=mailfilter', filter] });
  if (!sendmail) return;
  const { port } = sendmail;
  const send = (told: string, options: Partial<SwaksOptions> = {}) =>
    swaks(program, { port, to: 'alice@example.test', message: messageFor(told), ...options });
  const seen = new Set<string>();
  const delivered = async (user: string) => {
    const fresh = () => sendmail.messages(user).filter((text) => !seen.has(text));
    await until(`mail for ${user}`, () => fresh().length > 0);
    seen.add(fresh()[0]!);
    return [...seen].at(-1)!;
  };
  for (const { told, want, belowReceived = want, body, sender = 'ann@example.org', to = 'alice' } of edited) {
    await t.test(`edited: ${told || 'nothing'}`, async () => {
      assert.match((await send(told)).reply, /^250 /);
      const text = await delivered(to);
      assert.equal(fieldsOf(text), belowReceived);
      assert.match(bodyOf(text), body ?? /^hello\nworld\n+$/);
      assert.match(text, new RegExp(`^From ${sender} `));
    });
  }
  for (const { at, told = '', want, ...options } of refused) {
    await t.test(`refused at ${at}`, async () => {
      assert.match((await send(told, options)).reply, want);
    });
  }
  await t.test('30 MB', async () => {
    await sendLarge(port, 'carol@example.test');
    assertLarge(await delivered('carol'));
  });
  await t.test('one recipient is discarded', async () => {
    assert.match((await send('drop-one', { to: 'erin@example.test,bob@example.test' })).reply, /^250 /);
    await delivered('bob');
    assert.deepEqual(sendmail.messages('erin'), []);
  });
  await t.test('several lines and percent signs come through', async () => {
    assert.match((await send('reject')).transcript, /550-5\.7\.1 100% refused\n/);
  });
  await t.test('discarded and quarantined mail is delivered to nobody', async () => {
    assert.match((await send('discard', { to: 'dave@example.test' })).reply, /^250 /);
    assert.match((await send('quarantine', { to: 'dave@example.test' })).reply, /^250 /);
    assert.match((await send('', { to: 'rcpt-discard@example.test' })).reply, /^250 /);
    assert.match((await send('', { to: 'bob@example.test' })).reply, /^250 /);
    await delivered('bob');
    assert.deepEqual([sendmail.messages('dave'), sendmail.messages('rcpt-discard')], [[], []]);
    const held = sendmail.queued().filter((name) => name.startsWith('hf'));
    assert.equal(held.length, 1);
  });
  await t.test('a filter killed while it decides: try again, and nothing was edited', async () => {
    const sent = send('hang', { to: 'dave@example.test' });
    await untilItHangs(server);
    await server.kill();
    assert.match((await sent).reply, /^4\d\d /);
    assert.deepEqual(sendmail.messages('dave'), []);
  });
});
