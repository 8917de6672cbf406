/** `mailfilter replay`: past mail through another config tells what would change, changes nothing, and asks the world what it was told then. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { rule } from '../kit/json-rule.ts';
import { type TestServer, until } from '../kit/server.ts';
import { sendOne } from '../server/mail-client.ts';
import { openServer, traceOf } from '../server/observe.ts';

const marks = [rule({ header: 'Subject', contains: 'cheap' }, { add: 'X-Cheap', value: 'yes' })];
const refuses = [
  rule({ header: 'X-Cheap', contains: 'yes' }, { reject: 'was marked before it came' }),
  rule({ header: 'Subject', contains: 'cheap' }, { reject: 'no bargains' }),
];
const body = 'From here on\r\n.\r\nall is well\r\n';

/** A config beside that of the server, with other plugins for mail that comes in. */
function writeTrial(server: TestServer, inbound: readonly unknown[]): string {
  const file = join(server.directory, 'trial.json');
  const config = JSON.parse(readFileSync(server.configFile, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, pipelines: { ...config.pipelines, inbound } }));
  return file;
}

async function replay(server: TestServer, ...args: string[]) {
  const { code, stdout, stderr } = await runCommand(['replay', '-c', server.configFile, '--json', ...args]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

for (const format of ['maildir', 'mbox'] as const) {
  test(`what a new rule would have refused, in ${format}`, async () => {
    await using server = await openServer({
      config: { mailbox: { format, path: 'mail/{domain}/{user}' } },
      inbound: [{ plugin: 'header-rules', options: { rules: marks } }],
    });
    for (const subject of ['cheap cars', 'lunch']) {
      const message = `From: ann@example.org\nSubject: ${subject}\nMessage-ID: <${subject[0]}@x.test>\n\n${body}`;
      const to = ['alice@example.test', 'bob@example.test'];
      assert.match((await sendOne(server.ports.smtp!, { from: 'ann@example.org', to, message }))[0]!, /^250/);
    }
    for (const id of ['<c@x.test>', '<l@x.test>'])
      await until('all copies', async () => {
        const { parts } = await traceOf(server, id);
        return parts.filter(({ event }) => event === 'stored').length === 2;
      });
    if (format === 'maildir') {
      // Her user reads it and files it: it is found there.
      const [path] = server.messages('alice').filter((each) => readFileSync(each, 'utf8').includes('cheap'));
      const folder = join(server.mailbox('alice'), '.Old', 'cur');
      mkdirSync(folder, { recursive: true });
      renameSync(path!, join(folder, `${basename(path!)}:2,S`));
    }
    assert.deepEqual(await replay(server), { replayed: 2, notHere: 0, differences: [] });

    const trial = writeTrial(server, [{ plugin: 'header-rules', options: { rules: refuses } }]);
    const { replayed, differences } = await replay(server, '--with', trial);
    assert.equal(replayed, 2);
    assert.equal(differences.length, 1);
    const [{ id, messageId, then, now, because, kept }] = differences;
    assert.equal(messageId, '<c@x.test>');
    assert.equal(then, 'accepted in INBOX');
    // Not the first of the two rules: what was added then is taken out again.
    assert.equal(now, 'refused 550 5.7.1 no bargains');
    assert.deepEqual(because, ['header-rules: reject 550 5.7.1 no bargains']);
    assert.deepEqual(kept, [], 'octet for octet as it came');

    const { stdout } = await runCommand(['replay', '-c', server.configFile, '--with', trial, id]);
    assert.match(stdout, /accepted in INBOX +refused 550 5\.7\.1 no bargains/);
    assert.match(stdout, /^1 messages replayed, 1 would have fared otherwise\.$/m);
    const unknown = await runCommand(['replay', '-c', server.configFile, 'nobody']);
    assert.equal(unknown.code, 66);
    assert.match(unknown.stderr, /no trace of "nobody"/);
  });
}

test('the world answers as it did then; what plugins keep is read and not written', async () => {
  const plugin = (limit: number) => `
    import { definePlugin, reject } from 'mailfilter/plugin';
    export default definePlugin({
      name: 'world',
      hooks: {
        async message(_, { dns, state }) {
          const seen = await state.increment('seen');
          // Nobody answers this name: where it is asked anew it fails.
          const listed = await dns.a('listed.invalid').then(() => 'answered', () => 'failed');
          if (seen > ${limit}) return reject(550, '5.7.1', \`\${seen} \${listed}\`);
        },
      },
    });`;
  await using server = await openServer({
    config: { dns: { servers: ['127.0.0.1:9'], timeoutMs: 500 } },
    files: { 'world.ts': plugin(10), 'strict.ts': plugin(1) },
    // The first question to a server that is not there takes its whole time.
    inbound: [{ plugin: './world.ts', timeoutSeconds: 60 }],
  });
  for (const n of [1, 2, 3]) {
    const message = `From: ann@example.org\nMessage-ID: <${n}@x.test>\n\nhello\n`;
    const to = ['alice@example.test'];
    assert.match((await sendOne(server.ports.smtp!, { from: 'ann@example.org', to, message }))[0]!, /^250/);
  }
  for (const n of [1, 2, 3])
    await until('the copy', async () => (await traceOf(server, `<${n}@x.test>`)).parts.length > 0);
  const trial = writeTrial(server, ['./strict.ts']);
  // Twice the same: the counter says 1, 2, 3 as it did, and nothing counts on.
  for (const _ of [1, 2]) {
    const { differences } = await replay(server, '--with', trial);
    assert.deepEqual(
      differences.map(({ now }: { now: string }) => now),
      ['refused 550 5.7.1 2 failed', 'refused 550 5.7.1 3 failed'],
    );
  }
});
