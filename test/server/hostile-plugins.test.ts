/** Whatever a plugin does, its policy is applied and the story says so; other mail and the server's process do not notice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../kit/command.ts';
import { until } from '../kit/server.ts';
import { MailClient, sendOne } from './mail-client.ts';
import { campaign, inboxOf, logOf, openServer, queueOf, traceOf, type WholeServer } from './observe.ts';

const plugin = (name: string) => fileURLToPath(new URL(`plugins/${name}.ts`, import.meta.url));
const policies = ['tempfail', 'continue', 'quarantine', 'reject'] as const;
type Policy = (typeof policies)[number];

const pipelineOf = (onFailure: Policy) => [
  plugin('slow'),
  { plugin: plugin('hostile'), onFailure, timeoutSeconds: 0.3 },
];

let server: WholeServer;
let mta: number;
before(async () => {
  const listener = (pipeline: string) => ({
    ...{ protocol: 'smtp', address: '127.0.0.1:0', tls: 'none' },
    pipeline,
  });
  server = await openServer({
    config: {
      listeners: Object.fromEntries(policies.map((policy) => [policy, listener(policy)])),
      pipelines: Object.fromEntries(policies.map((policy) => [policy, pipelineOf(policy)])),
      sendPipeline: 'continue',
      processes: { threadMemoryMiB: 64 },
    },
  });
  mta = server.pidOf('mta');
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

const troubles: readonly [trouble: string, kind: string, message: RegExp][] = [
  ['throw', 'throw', /thrown on purpose/],
  ['rejection', 'throw', /rejected on purpose/],
  // Where others keep the machine busy its thread looks as stuck as theirs.
  ['silence', 'timeout', /no answer within 300 ms|kept its thread busy/],
  ['loop', 'timeout', /kept its thread busy/],
  ['promises', 'timeout', /kept its thread busy/],
  ['heap', 'thread-died|timeout', /memory|kept its thread busy/],
  ['buffers', 'thread-died|timeout', /memory|kept its thread busy/],
  ['exit', 'thread-died', /the thread ended itself/],
  ['shape', 'bad-answer', /unknown key/],
];

const isBusy = ([trouble]: (typeof troubles)[number]) =>
  ['loop', 'promises', 'heap', 'buffers'].includes(trouble);
const severe = ['throw', 'loop', 'exit'];

const answers: Readonly<Record<Policy, RegExp>> = {
  tempfail: /^451 4\.3\.0 /,
  continue: /^250 2\.0\.0 Ok: queued as /,
  quarantine: /^250 2\.0\.0 Ok: queued as /,
  reject: /^554 5\.3\.0 /,
};

for (const [trouble, kind, message] of troubles) {
  // The rest of the table stands in the test of every trouble.
  const some = campaign || severe.includes(trouble) ? policies : policies.slice(0, 2);
  test(`${trouble} in the message hook: ${some.join(', ')}, while other mail comes in`, async () => {
    await using load = startLoad(campaign ? 20 : 6);
    const failures = some.map((policy) => misbehave(trouble, 'message', policy, { kind, message }));
    await Promise.all(failures);
    assert.deepEqual(await load.stop(), []);
    assert.equal(server.pidOf('mta'), mta);
  });
}

const others: readonly [hook: string, trouble: string, policies: readonly Policy[]][] = [
  ['headers', 'throw', policies],
  ['headers', 'exit', ['tempfail', 'continue']],
  ['deliver', 'throw', policies],
  ['deliver', 'loop', ['reject']],
  ['rcptto', 'exit', ['tempfail', 'quarantine']],
  ['mailfrom', 'silence', ['tempfail', 'reject']],
  ['mailfrom', 'throw', ['continue', 'quarantine']],
  ['data', 'throw', policies],
  ['data', 'loop', ['continue']],
];

for (const [hook, trouble, some] of others) {
  test(`${trouble} in the ${hook} hook: ${some.join(', ')}`, async () => {
    await Promise.all(some.map((policy) => misbehave(trouble, hook, policy)));
    assert.equal(server.pidOf('mta'), mta);
  });
}

test('every trouble under each policy', async () => {
  await using load = startLoad(campaign ? 50 : 10);
  const every = ([trouble, kind, message]: (typeof troubles)[number]) =>
    Promise.all(policies.map((policy) => misbehave(trouble, 'message', policy, { kind, message })));
  // What keeps a thread busy without stopping it makes others there late, which is a failure of theirs by 300 ms.
  const [busy, quiet] = [troubles.filter(isBusy), troubles.filter((each) => !isBusy(each))];
  await Promise.all(quiet.map(every));
  for (const each of busy) await every(each);
  assert.deepEqual(await load.stop(), []);
  assert.equal(server.pidOf('mta'), mta);
});

test('what a plugin prints goes to the log, one JSON line each, under its name', async () => {
  const [reply] = await sendOne(server.ports.tempfail!, letterFrom('garbage@message.hostile.example', 'g'));
  assert.match(reply!, answers.continue);
  const printed = () => logOf(server).filter(({ event }) => event === 'plugin-output');
  await until("the plugin's output in the log", () => printed().length >= 3);
  assert.deepEqual(
    printed().map(({ plugin }) => plugin),
    ['hostile', 'hostile', 'hostile'],
  );
});

test('mailfilter explain tells what a plugin did, in words', async () => {
  const messageId = '<explained@hostile.example>';
  const letter = letterFrom('throw@message.hostile.example', messageId);
  await sendOne(server.ports.quarantine!, letter);
  await traceOf(server, messageId);
  const { code, stdout } = await runCommand(['explain', messageId, '-c', server.configFile]);
  assert.equal(code, 0);
  assert.match(stdout, /message +hostile +[\d.]+ +FAILED \(throw\): thrown on purpose.*, so quarantine/);
  const listed = await runCommand(['queue', 'list', '--status', 'held', '-c', server.configFile]);
  assert.match(listed.stdout, /held +held +throw@message\.hostile\.example/);
});

function letterFrom(from: string, messageId: string) {
  const message = `Message-ID: ${messageId}\nSubject: hostile\n\nbody of ${messageId}\n`;
  return { from, to: ['alice@example.test'], message };
}

let serial = 0;

/** Sends a message that the plugin fails at, and looks at what became of it. */
async function misbehave(
  trouble: string,
  hook: string,
  policy: Policy,
  want?: { kind: string; message: RegExp },
): Promise<void> {
  serial += 1;
  const messageId = `<${serial}.${trouble}.${hook}.${policy}@hostile.example>`;
  const letter = letterFrom(`${trouble}@${hook}.hostile.example`, messageId);
  const replies = await sendOne(server.ports[policy]!, letter);
  const reply = replies.find((line) => !line.startsWith('2')) ?? replies[0];
  assert.match(reply!, answers[policy], messageId);
  const delivered = inboxOf(server, 'alice').filter((octets) => octets.includes(messageId));
  assert.equal(delivered.length, policy === 'continue' ? 1 : 0, `copies of ${messageId}`);
  if (['mailfrom', 'rcptto', 'data'].includes(hook) && /^[45]/.test(reply!)) {
    // No message came, so there is no Message-ID to ask for: the log names transaction and plugin.
    await until(`the failure of ${messageId} in the log`, () => isLogged(hook, policy));
    return;
  }
  const trace = await traceOf(server, messageId);
  const failure = trace.entries.find(({ failure }) => failure !== undefined);
  assert.deepEqual(
    [failure?.plugin, failure?.stage.toLowerCase(), failure?.failure?.policy],
    ['hostile', hook, policy],
  );
  if (want !== undefined) {
    assert.match(failure?.failure?.kind ?? '', new RegExp(`^(?:${want.kind})$`), failure?.failure?.message);
    assert.match(failure?.failure?.message ?? '', want.message);
  }
  if (policy !== 'quarantine') return;
  const held = () => queueOf(server).filter(({ transactionId }) => transactionId === trace.id);
  await until(`${messageId} in the queue`, () => held().length > 0);
  assert.deepEqual(
    held().map(({ status, work }) => [status, work.kind === 'held' && work.reason]),
    [['held', 'the plugin hostile failed']],
  );
}

function isLogged(hook: string, policy: Policy): boolean {
  return logOf(server).some(
    (line) =>
      line.event === 'plugin-failed' &&
      line.plugin === 'hostile' &&
      line.policy === policy &&
      String(line.stage).toLowerCase() === hook,
  );
}

interface Load extends AsyncDisposable {
  /** What went wrong with the other mail; empty when nothing did. */
  stop(): Promise<string[]>;
}

/** Sessions that send without pause, each message to be answered 250 and to lie in bob's mailbox. */
function startLoad(sessions: number): Load {
  let running = true;
  const problems: string[] = [];
  const sent: string[] = [];
  const run = async (index: number) => {
    const client = await MailClient.open(server.ports[policies[index % policies.length]!]!);
    for (let n = 0; running; n += 1) {
      serial += 1;
      const id = `load-${serial}`;
      const message = `Subject: ${id}\nX-Wait: ${n % 3 === 0 ? 100 : 0}\n\n${id}\n`;
      const [reply] = await client.send({ to: ['bob@example.test'], message });
      if (/^250 /.test(reply ?? '')) sent.push(id);
      else problems.push(`${id}: ${reply}`);
      await delay(5);
    }
    await client.quit();
  };
  const all = Array.from({ length: sessions }, (_, index) =>
    run(index).catch((error) => problems.push(String(error))),
  );
  const stop = async () => {
    running = false;
    await Promise.all(all);
    const subjects = new Map<string, number>();
    for (const octets of inboxOf(server, 'bob')) {
      const subject = /^Subject: (.*)$/m.exec(octets.toString('latin1'))?.[1] ?? '';
      subjects.set(subject, (subjects.get(subject) ?? 0) + 1);
    }
    for (const id of sent) {
      if (subjects.get(id) !== 1) problems.push(`${id} lies ${subjects.get(id) ?? 0} times in the mailbox`);
    }
    if (sent.length === 0) problems.push('no other mail was sent at all');
    return problems;
  };
  return { stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}
