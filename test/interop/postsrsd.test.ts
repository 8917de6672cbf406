/** postsrsd and we understand each other's addresses, with one secret. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { restoreSender, rewriteSender, type SrsSettings } from '../../plugins/srs/srs-address.ts';
import { requireProgram } from '../kit/require.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-postsrsd-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});
const settings: SrsSettings = { domain: 'ours.test', secrets: ['top-secret'], maxAgeDays: 21, hashLength: 4 };

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** One question of Postfix's tcp_table(5) protocol; answers the code and the text. */
function ask(port: number, address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`get ${address.replaceAll('%', '%25')}\n`));
    socket.on('error', reject).on('data', (chunk) => {
      socket.destroy();
      resolve(decodeURIComponent(chunk.toString().trim()));
    });
  });
}

async function startPostsrsd(program: string): Promise<{ forward: number; reverse: number }> {
  writeFileSync(join(folder, 'secret'), 'top-secret\n');
  const [forward, reverse] = [await freePort(), await freePort()];
  const child = spawn(
    program,
    [
      '-4',
      '-s',
      join(folder, 'secret'),
      '-d',
      'ours.test',
      '-f',
      String(forward),
      '-r',
      String(reverse),
      '-l',
      '127.0.0.1',
    ],
    { stdio: 'ignore' },
  );
  children.push(child);
  for (let tries = 0; ; tries++) {
    try {
      await ask(forward, 'a@b.test');
      return { forward, reverse };
    } catch (error) {
      if (tries === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const foreign = [
  'ann@example.org',
  'Ann.B+list@Mail.Example.org',
  'bounce=x-1=y@example.org',
  'SRS0=ABCD=EF=first.test=ann@second.test',
  'SRS0+ABCD=EF=first.test=ann@second.test',
  'SRS1=GHIJ=first.test==ABCD=EF=origin.test=ann@second.test',
  'SRS1=GHIJ=first.test=-ABCD=EF=origin.test=ann@second.test',
];

test('addresses are made alike and led back both ways', async (t) => {
  const program = requireProgram(t, 'postsrsd');
  if (program === undefined) return;
  const { forward, reverse } = await startPostsrsd(program);
  for (const sender of foreign) {
    const theirs = (await ask(forward, sender)).replace(/^200 /, '');
    const ours = rewriteSender(sender, settings, Date.now());
    assert.equal(ours.toLowerCase(), theirs.toLowerCase(), sender);
    const back = restoreSender(theirs.slice(0, theirs.lastIndexOf('@')), settings, Date.now());
    const theirBack = (await ask(reverse, ours)).replace(/^200 /, '');
    assert.equal(typeof back, 'string', `${theirs}: ${JSON.stringify(back)}`);
    assert.equal(String(back).toLowerCase(), theirBack.toLowerCase(), sender);
  }
  // Both refuse what is forged.
  const forged = 'SRS0=AAAA=AA=example.org=ann@ours.test';
  assert.match(await ask(reverse, forged), /^5\d\d /);
  assert.notEqual(typeof restoreSender('SRS0=AAAA=AA=example.org=ann', settings, Date.now()), 'string');
});
