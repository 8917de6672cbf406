/** Signals under load: SIGTERM drains and loses nothing, SIGHUP is noticed by nobody, a reload that fails changes nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer, type TestServer, until } from '../kit/server.ts';
import { MailClient } from '../server/mail-client.ts';
import { idIn, inboxOf, logOf, openServer } from '../server/observe.ts';
import { everyRole, judge, Load, loadConfig } from './server-load.ts';

for (const durability of ['journal', 'file'] as const) {
  test(`SIGTERM under load (${durability}): exit code 0, everything is delivered, nothing is left to do`, async (t) => {
    const parent = mkdtempSync(join(tmpdir(), 'signals-'));
    const directory = join(parent, 'server');
    try {
      const server = await startServer({ directory, config: loadConfig('maildir', durability) });
      const load = new Load();
      const running = load.run(server.ports, { clients: 6 });
      await until('mail to flow', () => load.acknowledged.length > 20);
      assert.equal(await server.stop(), 0);
      await running;
      assert.deepEqual(judge(server, load.letters), []);
      const next = await startServer({ directory });
      const recovered = logOf(next).find(({ event }) => event === 'recovered');
      assert.deepEqual([recovered?.records, recovered?.damaged, recovered?.lost], [0, 0, 0]);
      assert.equal(await next.stop(), 0);
      assert.deepEqual(judge(next, load.letters), []);
      t.diagnostic(`${load.acknowledged.length} acknowledged`);
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });
}

test('SIGHUP under load: no client notices; a broken config keeps the old one and says why', async (t) => {
  await using server = await openServer({ config: loadConfig() });
  await everyRole(server);
  const load = new Load();
  const running = load.run(server.ports, { clients: 5 });
  const config = readFileSync(server.configFile, 'utf8');
  const steps = [config, config.replace('"hostname"', '"hostnaem"'), '{', config];
  const outcomes: unknown[] = [];
  for (const text of steps) {
    const before = load.acknowledged.length;
    writeFileSync(server.configFile, text);
    outcomes.push(await reload(server));
    await until('mail to flow after it', () => load.acknowledged.length > before + 5);
  }
  load.stop();
  await running;
  assert.match(
    JSON.stringify(outcomes),
    /^\[true,".*hostnaem.*hostname.*",".*mailfilter\.json:1:.*",true\]$/,
  );
  const unhappy = load.letters.filter(
    ({ recipients, acknowledged }) => recipients.length > acknowledged.size,
  );
  assert.deepEqual(unhappy, [], 'letters that were refused or cut off');
  await until('every copy', () => judge(server, load.letters).length === 0).catch(() => undefined);
  assert.deepEqual(judge(server, load.letters), []);
  t.diagnostic(`${load.acknowledged.length} acknowledged`);
});

test('a changed plugin takes effect for new transactions while a session that is open goes on', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'reloaded-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const plugin = join(directory, 'versioned.ts');
  writeFileSync(plugin, codeOf(1));
  await using server = await openServer({ directory, inbound: ['./versioned.ts'], config: loadConfig() });
  await everyRole(server);
  const open = await MailClient.open(server.ports.smtp!);
  const replies = [await open.send(letter)];
  await open.envelope(letter);
  writeFileSync(plugin, codeOf(2));
  assert.equal(await reload(server), true);
  const other = await MailClient.open(server.ports.smtp!);
  replies.push(await other.send(letter), await open.data(letter.message), await open.send(letter));
  const versions = replies.map(([reply]) => versionOf(server, idIn(reply)));
  assert.deepEqual(
    versions,
    ['1', '2', '1', '2'],
    'before; new; begun before the reload; next of the same session',
  );
  writeFileSync(plugin, 'export default {');
  assert.match(String(await reload(server)), /versioned\.ts/);
  assert.equal(versionOf(server, idIn((await open.send(letter))[0])), '2');
  await Promise.all([open.quit(), other.quit()]);
});

const letter = { to: ['alice@example.test'], message: 'Subject: which version\n\nbody\n' };

function codeOf(version: number): string {
  return `import { definePlugin } from 'mailfilter/plugin';
export default definePlugin({
  name: 'versioned',
  kind: 'mutate',
  writes: ['header:X-Version'],
  // From the first hook on a transaction is one of its plugin's.
  hooks: { rcptTo: () => undefined, message: () => ({ edits: [{ type: 'addHeader', name: 'X-Version', value: '${version}' }] }) },
});
`;
}

function versionOf(server: TestServer, id: string): string | undefined {
  const text = inboxOf(server, 'alice')
    .find((message) => message.includes(id))
    ?.toString('latin1');
  return /^X-Version: (.*)$/m.exec(text ?? '')?.[1];
}

/** True, or why the reload failed. */
async function reload(server: TestServer): Promise<boolean | string> {
  const read = () => {
    try {
      return JSON.parse(readFileSync(join(server.directory, 'data', 'run', 'reload.json'), 'utf8'));
    } catch {
      // None yet.
      return {};
    }
  };
  const before = read().at;
  // Told from the one before by its time.
  await sleep(2);
  server.process.kill('SIGHUP');
  await until('the outcome of a reload', () => read().at !== before);
  const { ok, error } = read();
  return ok || error;
}
