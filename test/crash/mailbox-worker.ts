/** Works on the folders of an account until it is killed, and says on standard output what it was answered. */

import { randomSource } from '../kit/random.ts';
import { type Format, TestAccount } from '../mailbox/test-account.ts';

const [format, directory, begin] = process.argv.slice(2) as [Format, string, string];
const account = new TestAccount(format, { directory });
const { below, pick } = randomSource(`mailbox-worker ${format}`);
const folders = ['INBOX', 'Work'] as const;
let count = Number(begin);

export interface Report {
  /** Texts that the next piece of work is about; what becomes of them is open until it is done. */
  readonly touches: readonly string[];
  readonly mayGo: boolean;
  /** After what was done before. */
  readonly state: Readonly<
    Record<string, readonly { uid: number; flags: readonly string[]; text: string }[]>
  >;
}

async function report(touches: readonly string[], mayGo: boolean): Promise<void> {
  const state = Object.fromEntries(
    await Promise.all(folders.map(async (folder) => [folder, await account.look(folder)] as const)),
  );
  const line = JSON.stringify({ touches, mayGo, state } satisfies Report);
  await new Promise((resolve) => process.stdout.write(`${line}\n`, resolve));
}

async function work(): Promise<void> {
  const folder = pick(folders);
  const there = await account.look(folder);
  const chosen = there.filter(() => below(3) === 0).slice(0, 5);
  const uids = chosen.map(({ uid }) => uid);
  const texts = chosen.map(({ text }) => text);
  const { engine } = account;
  switch (below(5)) {
    case 0:
    case 1: {
      const fresh = Array.from(
        { length: 1 + below(3) },
        () => `Subject: ${count++}\n\n${'text\n'.repeat(below(500))}`,
      );
      await report(fresh, true);
      await account.append(folder, fresh, ['\\Seen']);
      return;
    }
    case 2:
      await report(texts, false);
      await account.with(folder, (held) =>
        engine.store(held, uids, { how: 'add', flags: [pick(['\\Flagged', 'later', '\\Draft'])] }, undefined),
      );
      return;
    case 3:
      await report(texts, true);
      await account.with(folder, (held) => engine.expunge(held, uids, true));
      return;
    default:
      await report(texts, false);
      await account.with(folder, (held) => engine.transfer(held, uids, pick(folders), 'move'));
  }
}

if (!account.engine.layout.exists('Work')) await account.engine.create('Work');
for (;;) await work();
