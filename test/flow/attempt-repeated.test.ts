/** An attempt that a crash cut off after its copies were stored: the next one stores none of them again. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HookAnswer } from '../../core/session/results.ts';
import { attempt } from '../../src/flow/attempt.ts';
import { FakeHouse, type FakeHouseInit, fakeProcmail, fakeSieve, now, send } from '../kit/fake-house.ts';
import { maildirTexts, openAcceptance } from './acceptance-kit.ts';

const redirected: FakeHouseInit['hooks'] = {
  deliver: ({ recipient }): HookAnswer =>
    recipient!.address === 'alice@example.test'
      ? { actions: [{ type: 'redirect', address: 'bob@example.test' }] }
      : {},
};

function waitingOnce(): FakeHouseInit['hooks'] {
  let asked = 0;
  return {
    deliver: (): HookAnswer => {
      asked += 1;
      return asked === 1
        ? { verdict: { action: 'tempfail', code: 451, enhanced: '4.2.0', text: 'later' } }
        : {};
    },
  };
}

const causes = [
  { cause: 'a redirect', hooks: () => redirected, user: 'bob', to: ['alice@example.test'] },
  {
    cause: 'a recipient who waited',
    hooks: waitingOnce,
    user: 'alice',
    to: ['alice@example.test', 'bob@example.test'],
  },
];

for (const { cause, hooks, user, to } of causes) {
  for (const format of ['maildir', 'mbox'] as const) {
    for (const durability of ['journal', 'file'] as const) {
      test(`${cause}, cut off and repeated: once in ${format}, durability ${durability}`, async (t) => {
        const root = mkdtempSync(join(tmpdir(), 'repeated-'));
        t.after(() => rmSync(root, { recursive: true, force: true }));
        const path = join(root, 'mail', '{user}');
        const fake = new FakeHouse(t, {
          hooks: hooks()!,
          config: {
            mailbox: {
              format,
              path,
              subaddressSeparator: '+',
              quotaBytes: 0,
              sieve: fakeSieve,
              procmail: fakeProcmail,
            },
          },
        });
        await send(fake, { to });
        const [{ entry, source }] = fake.entries() as [ReturnType<FakeHouse['entries']>[number]];
        const { acceptance } = openAcceptance(root, { durability });
        await acceptance.recover();
        // In this process, so that only the count of attempts says that it is repeated.
        const createdAt = Date.now();
        for (const attempts of [1, 2]) {
          const clock = { now: () => now + attempts * 60_000, monotonicMs: () => 0 };
          const house = { ...fake.house, clock, accept: acceptance.accept };
          const told = await attempt(house, { ...entry, attempts, createdAt }, source);
          assert.deepEqual(told, { outcome: 'done' });
          await acceptance.drain();
          if (format === 'maildir' && attempts === 1) read(join(root, 'mail', user));
        }
        await acceptance.close();
        assert.equal(copies(format, join(root, 'mail', user)), 1);
      });
    }
  }
}

test('an entry that an earlier process took in counts as repeated, whatever was counted of its attempts', async (t) => {
  const fake = new FakeHouse(t, { hooks: redirected! });
  await send(fake, {});
  const [{ entry, source }] = fake.entries() as [ReturnType<FakeHouse['entries']>[number]];
  const asked: (boolean | undefined)[] = [];
  const accept: typeof fake.house.accept = async ({ repeated }) => {
    asked.push(repeated);
  };
  const house = { ...fake.house, accept };
  const later = Date.now();
  const table = [
    { createdAt: performance.timeOrigin - 1 },
    { createdAt: later },
    { createdAt: later, lastError: 'held' },
  ];
  for (const changed of table) await attempt(house, { ...entry, ...changed }, source);
  assert.deepEqual(asked, [true, false, true]);
});

/** Its user has seen it. */
function read(mailbox: string): void {
  for (const name of readdirSync(join(mailbox, 'new'))) {
    renameSync(join(mailbox, 'new', name), join(mailbox, 'cur', `${name}:2,S`));
  }
}

function copies(format: 'maildir' | 'mbox', mailbox: string): number {
  if (format === 'maildir') return maildirTexts(mailbox).length;
  return readFileSync(mailbox, 'latin1').match(/^From /gm)?.length ?? 0;
}
