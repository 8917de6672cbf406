/** AUTH with SCRAM: GNU SASL as the client, and one of our own that binds to its TLS connection. RFC 5802, RFC 9266. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { openDoor, type TestDoor } from '../../kit/door.ts';
import { LineClient } from '../../kit/line-client.ts';
import { requireProgram } from '../../kit/require.ts';

async function submission(t: TestContext): Promise<TestDoor> {
  const listener = { protocol: 'submission', tls: 'implicit', auth: true } as const;
  const opened = await openDoor(t, { listener });
  opened.flow.scramHashes = ['SHA-256', 'SHA-1'];
  return opened;
}

async function connected(
  t: TestContext,
  { port }: TestDoor,
): Promise<{ client: LineClient; socket: TLSSocket }> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  const client = new LineClient(socket);
  t.after(() => client.destroy());
  await once(socket, 'secureConnect');
  await client.reply();
  client.send('EHLO client.example.org\r\n');
  const lines = await client.reply();
  assert.ok(
    lines.includes('250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN'),
  );
  return { client, socket };
}

test('GNU SASL proves a password, and believes our proof', async (t) => {
  const gsasl = requireProgram(t, 'gsasl');
  if (gsasl === undefined) return;
  const opened = await submission(t);
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1']) {
    for (const password of ['secret', 'wrong']) {
      const { client } = await connected(t, opened);
      const child: ChildProcessWithoutNullStreams = spawn(gsasl, [
        ...['--client', '--no-cb', '--quiet', '-m', mechanism, '-a', 'alice@example.test', '-p', password],
      ]);
      t.after(() => child.kill());
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const next = async (): Promise<string> => (await lines.next()).value ?? '';
      const answer = async (): Promise<string> => (await client.reply(30_000)).at(-1)!;
      assert.equal(await next(), mechanism);
      client.send(`AUTH ${mechanism} ${await next()}\r\n`);
      child.stdin.write(`${(await answer()).replace(/^334 /, '')}\n`);
      client.send(`${await next()}\r\n`);
      if (password === 'wrong') {
        assert.match(await answer(), /^535 5\.7\.8 /);
        continue;
      }
      child.stdin.write(`${(await answer()).replace(/^334 /, '')}\n`);
      // Nothing more to say: it ends with an error in place of this where our proof is not right.
      client.send(`${await next()}\r\n`);
      assert.match(await answer(), /^235 2\.7\.0 /);
      assert.deepEqual(opened.flow.events.at(-1), `scram ${mechanism} alice@example.test true`);
    }
  }
});

interface Attempt {
  readonly name: string;
  readonly mechanism: string;
  readonly header: string;
  /** What is bound to; default: the binding data of the connection. */
  readonly binding?: Buffer;
  readonly want: RegExp;
}

const none = Buffer.alloc(0);
const attempts: readonly Attempt[] = [
  { name: 'bound', mechanism: 'SCRAM-SHA-256-PLUS', header: 'p=tls-exporter,,', want: /^235 2\.7\.0 / },
  {
    name: "bound to another's connection",
    mechanism: 'SCRAM-SHA-256-PLUS',
    header: 'p=tls-exporter,,',
    binding: Buffer.alloc(32, 1),
    want: /^535 5\.7\.8 /,
  },
  { name: 'not bound', mechanism: 'SCRAM-SHA-256', header: 'n,,', binding: none, want: /^235 2\.7\.0 / },
  {
    name: 'our offer of -PLUS was taken out of the list',
    mechanism: 'SCRAM-SHA-256',
    header: 'y,,',
    binding: none,
    want: /^501 5\.5\.2 /,
  },
  {
    name: 'another identity',
    mechanism: 'SCRAM-SHA-256',
    header: 'n,a=bob@example.test,',
    binding: none,
    want: /^535 5\.7\.8 /,
  },
];
for (const { name, mechanism, header, binding, want } of attempts) {
  test(`a client's login: ${name}`, async (t) => {
    const opened = await submission(t);
    const { client, socket } = await connected(t, opened);
    const say = async (line: string): Promise<string> => {
      client.send(`${line}\r\n`);
      return (await client.reply(30_000)).at(-1)!;
    };
    const bare = 'n=alice@example.test,r=anonce';
    // Without an initial response, to be asked for it. RFC 4954 section 4.
    assert.equal(await say(`AUTH ${mechanism}`), '334 ');
    const challenge = await say(base64(header + bare));
    if (!challenge.startsWith('334 ')) {
      assert.match(challenge, want);
      return;
    }
    const serverFirst = Buffer.from(challenge.slice(4), 'base64').toString();
    const data =
      binding ?? socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', none as Buffer<ArrayBuffer>);
    const bound = Buffer.concat([Buffer.from(header), data]).toString('base64');
    const withoutProof = `c=${bound},${/r=[^,]+/.exec(serverFirst)![0]}`;
    const answer = await say(
      base64(`${withoutProof},p=${proof(serverFirst, `${bare},${serverFirst},${withoutProof}`)}`),
    );
    assert.match(answer.startsWith('334 ') ? await say('') : answer, want);
  });
}

test('a client that cancels, or sends nonsense, may try again', async (t) => {
  const { client } = await connected(t, await submission(t));
  client.send('AUTH SCRAM-SHA-256\r\n*\r\nAUTH SCRAM-SHA-256 AAAA\r\nAUTH SCRAM-SHA-512 AAAA\r\nNOOP\r\n');
  assert.deepEqual(await client.codes(5), ['334', '501 5.7.0', '501 5.5.2', '504 5.5.4', '250 2.0.0']);
});

/** RFC 5802 section 3, for the password `secret`. */
function proof(serverFirst: string, authMessage: string): string {
  const [, salt = '', iterations = ''] = /s=([^,]+),i=(\d+)/.exec(serverFirst)!;
  const salted = pbkdf2Sync('secret', Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest();
  const signature = createHmac('sha256', storedKey).update(authMessage).digest();
  return Buffer.from(clientKey.map((octet, index) => octet ^ signature[index]!)).toString('base64');
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
