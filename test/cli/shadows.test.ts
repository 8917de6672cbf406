/** `mailfilter explain --shadow`: what a plugin on trial would have done, while it did nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { rule } from '../kit/json-rule.ts';
import { startServer, until } from '../kit/server.ts';
import { sendOne } from '../server/mail-client.ts';

test('a plugin on trial is summed up', async (t) => {
  const rules = [
    rule({ header: 'Subject', contains: 'bad' }, { reject: 'no' }),
    rule({ header: 'Subject', contains: 'odd' }, { quarantine: 'odd' }),
    rule({ header: 'Subject', contains: 'cheap' }, { score: 3 }, { add: 'X-Cheap', value: 'yes' }),
  ];
  const server = await startServer({
    inbound: [{ plugin: 'header-rules', shadow: true, options: { rules } }],
  });
  t.after(() => server.stop());
  const explain = (...args: string[]) => runCommand(['explain', ...args, '-c', server.configFile]);
  assert.match((await explain('--shadow')).stdout, /^No plugin was on trial/);
  const subjects = ['bad', 'odd', 'cheap', 'plain'];
  for (const subject of subjects) {
    const message = `From: ann@example.org\nSubject: ${subject}\n\nhello\n`;
    const [reply] = await sendOne(server.ports.smtp!, {
      from: 'ann@example.org',
      to: ['alice@example.test'],
      message,
    });
    assert.match(reply!, /^250 /);
  }
  await until('all mail, for nothing was refused or held', () => server.messages('alice').length === 4);
  const trials = async (...args: string[]) =>
    JSON.parse((await explain('--shadow', '--json', ...args)).stdout);
  await until('all traces', async () => (await trials())[0]?.messages === 4);
  const [trial] = await trials('--since', '7d');
  assert.deepEqual(
    [
      trial.plugin,
      trial.verdicts.reject,
      trial.verdicts.quarantine,
      trial.edited,
      trial.scored,
      trial.scoreSum,
    ],
    ['header-rules', 1, 1, 1, 1, 3],
  );
  assert.equal(trial.examples.reject.length, 1);
  const { stdout } = await explain('--shadow', '--since', '7d');
  assert.match(stdout, /would reject/);
  assert.match(stdout, new RegExp(`header-rules, reject: ${trial.examples.reject[0]}`));
  assert.match((await explain('--shadow', '--since', 'soon')).stderr, /90s, 15m, 12h or 30d/);
  assert.match((await explain()).stderr, /give the id of a message, or --shadow/);
});
