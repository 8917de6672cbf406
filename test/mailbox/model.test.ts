/** Random work on folders against a plain model, both formats: what a client sees is what it did, and no UID comes twice. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { maildirFolderPath, mboxFolderPath } from '../../src/mailbox/folders.ts';
import { MailboxError } from '../../src/mailbox/mailbox-error.ts';
import { type Format, TestAccount } from './test-account.ts';

interface Message {
  uid: number;
  flags: Set<string>;
  readonly text: string;
}

interface ModelFolder {
  messages: Message[];
  uidValidity: number;
  /** Highest UID ever seen. */
  highestUid: number;
  highestModseq: number;
}

interface Model {
  readonly account: TestAccount;
  readonly folders: Map<string, ModelFolder>;
  count: number;
}

type Step = (model: Model) => Promise<void>;

const names = ['INBOX', 'Work', 'Work/Sub', 'Ärger & Co'] as const;
const flags = ['\\Seen', '\\Flagged', '\\Deleted', '\\Draft', '\\Answered', 'todo', '$Junk'] as const;
const name = fc.constantFrom(...names);
const flagSet = fc.subarray([...flags]);
/** Which messages, by position modulo the folder's size. */
const picks = fc.array(fc.nat(30), { minLength: 1, maxLength: 6 });

function fresh(model: Model, size = 1): string {
  model.count += 1;
  return `From: a@example.test\nSubject: message ${model.count}\n\nbody ${model.count}\nFrom here on\n>From there\n${'line\n'.repeat(size)}`;
}

function picked(folder: ModelFolder, numbers: readonly number[]): Message[] {
  const { messages } = folder;
  if (messages.length === 0) return [];
  const chosen = new Set(numbers.map((number) => messages[number % messages.length]!));
  return messages.filter((message) => chosen.has(message));
}

const append = fc
  .record({ folder: name, flags: flagSet, count: fc.integer({ min: 1, max: 3 }), size: fc.nat(200) })
  .map(({ folder, flags: set, count, size }): [string, Step] => [
    `append ${count} to ${folder} ${set}`,
    async (model) => {
      const texts = Array.from({ length: count }, () => fresh(model, size));
      const target = model.folders.get(folder);
      if (!target) {
        await assert.rejects(model.account.append(folder, texts, set), isError('NONEXISTENT'));
        return;
      }
      const { uids, uidValidity } = await model.account.append(folder, texts, set);
      assert.equal(uids.length, count);
      assert.equal(uidValidity, target.uidValidity || uidValidity);
      texts.forEach((text, at) => {
        target.messages.push({ uid: uids[at]!, flags: new Set(set), text });
      });
    },
  ]);

const store = fc
  .record({ folder: name, picks, flags: flagSet, how: fc.constantFrom('add', 'remove', 'replace') })
  .map(({ folder, picks: numbers, flags: set, how }): [string, Step] => [
    `store ${how} ${set} in ${folder}`,
    async (model) => {
      const target = model.folders.get(folder);
      if (!target) return;
      const chosen = picked(target, numbers);
      const uids = chosen.map(({ uid }) => uid);
      const { engine } = model.account;
      const result = await model.account.with(folder, (held) =>
        engine.store(held, uids, { how, flags: set }, undefined),
      );
      assert.deepEqual(result, { modified: [], done: uids });
      for (const message of chosen) {
        if (how === 'replace') message.flags.clear();
        for (const flag of set) {
          if (how === 'remove') message.flags.delete(flag);
          else message.flags.add(flag);
        }
      }
    },
  ]);

const expunge = fc.record({ folder: name }).map(({ folder }): [string, Step] => [
  `expunge ${folder}`,
  async (model) => {
    const target = model.folders.get(folder);
    if (!target) return;
    const { engine } = model.account;
    const gone = await model.account.with(folder, (held) => engine.expunge(held, undefined, false));
    const deleted = target.messages.filter((message) => message.flags.has('\\Deleted'));
    assert.deepEqual(
      [...gone],
      deleted.map(({ uid }) => uid),
    );
    target.messages = target.messages.filter((message) => !deleted.includes(message));
  },
]);

const transfer = fc
  .record({ from: name, to: name, picks, how: fc.constantFrom('copy', 'move') })
  .map(({ from, to, picks: numbers, how }): [string, Step] => [
    `${how} from ${from} to ${to}`,
    async (model) => {
      const source = model.folders.get(from);
      const target = model.folders.get(to);
      if (!source) return;
      const chosen = picked(source, numbers);
      const uids = chosen.map(({ uid }) => uid);
      const { engine } = model.account;
      const doIt = () => model.account.with(from, (held) => engine.transfer(held, uids, to, how));
      if (!target) {
        await assert.rejects(doIt(), isError('NONEXISTENT'));
        return;
      }
      const result = await doIt();
      assert.deepEqual([...result.from], uids);
      if (how === 'move') source.messages = source.messages.filter((message) => !chosen.includes(message));
      chosen.forEach((message, at) => {
        target.messages.push({ uid: result.to[at]!, flags: new Set(message.flags), text: message.text });
      });
    },
  ]);

const create = fc.record({ folder: name }).map(({ folder }): [string, Step] => [
  `create ${folder}`,
  async (model) => {
    if (model.folders.has(folder)) {
      await assert.rejects(model.account.engine.create(folder), isError('ALREADYEXISTS'));
      return;
    }
    await model.account.engine.create(folder);
    model.folders.set(folder, { messages: [], uidValidity: 0, highestUid: 0, highestModseq: 0 });
  },
]);

const remove = fc.record({ folder: name }).map(({ folder }): [string, Step] => [
  `delete ${folder}`,
  async (model) => {
    const code = folder === 'INBOX' ? 'CANNOT' : model.folders.has(folder) ? undefined : 'NONEXISTENT';
    if (code) {
      await assert.rejects(model.account.engine.delete(folder), isError(code));
      return;
    }
    await model.account.engine.delete(folder);
    model.folders.delete(folder);
  },
]);

const rename = fc.record({ from: name, to: name }).map(({ from, to }): [string, Step] => [
  `rename ${from} to ${to}`,
  async (model) => {
    const { folders, account } = model;
    const source = folders.get(from);
    const children = [...folders.keys()].filter((each) => each.startsWith(`${from}/`));
    const targets = children.map((child) => to + child.slice(from.length));
    const impossible =
      folders.has(to) ||
      to.startsWith(`${from}/`) ||
      (!source && children.length === 0) ||
      (from !== 'INBOX' && targets.some((target) => folders.has(target)));
    if (impossible) {
      await assert.rejects(account.engine.rename(from, to), MailboxError);
      return;
    }
    await account.engine.rename(from, to);
    if (from === 'INBOX') {
      // Its messages move, with new UIDs; the rest stays.
      const moved = await account.look(to);
      assert.deepEqual(
        moved.map(({ text }) => text),
        source!.messages.map(({ text }) => text),
      );
      source!.messages.forEach((message, at) => {
        message.uid = moved[at]!.uid;
      });
      folders.set(to, { messages: source!.messages, uidValidity: 0, highestUid: 0, highestModseq: 0 });
      source!.messages = [];
      return;
    }
    for (const [at, child] of [from, ...children].entries()) {
      const folder = folders.get(child);
      folders.delete(child);
      if (folder) folders.set([to, ...targets][at]!, folder);
    }
  },
]);

const reopen = fc
  .record({ loseIndex: fc.boolean() })
  .map(({ loseIndex }): [string, Step] => [
    `reopen${loseIndex ? ' without the index' : ''}`,
    (model) => model.account.reopen({ loseIndex }),
  ]);

/** As another program delivers. */
const deliver = fc.record({ folder: name }).map(({ folder }): [string, Step] => [
  `another program delivers to ${folder}`,
  async (model) => {
    const target = model.folders.get(folder);
    if (!target) return;
    const text = fresh(model);
    if (model.account.format === 'maildir') {
      const directory = maildirFolderPath(model.account.path, folder);
      mkdirSync(join(directory, 'new'), { recursive: true });
      const base = `${Math.floor(Date.now() / 1000)}.${model.count}.elsewhere`;
      writeFileSync(join(directory, 'tmp', base), text);
      renameSync(join(directory, 'tmp', base), join(directory, 'new', base));
    } else {
      const quoted = text.replace(/^(>*From )/gm, '>$1');
      appendFileSync(
        mboxFolderPath(model.account.path, folder),
        `From x@example.test Sat Nov 21 08:00:00 2026\n${quoted}\n`,
      );
    }
    target.messages.push({ uid: 0, flags: new Set(), text });
    await sleep(30);
  },
]);

/** As another program changes flags and removes mail, in a Maildir. */
const meddle = fc
  .record({ folder: name, pick: fc.nat(30), gone: fc.boolean() })
  .map(({ folder, pick, gone }): [string, Step] => [
    `another program ${gone ? 'removes' : 'flags'} in ${folder}`,
    async (model) => {
      const target = model.folders.get(folder);
      if (!target || model.account.format !== 'maildir') return;
      const directory = maildirFolderPath(model.account.path, folder);
      const files = readdirSync(join(directory, 'cur'));
      if (files.length === 0) return;
      const file = files[pick % files.length]!;
      const path = join(directory, 'cur', file);
      const { readFileSync } = await import('node:fs');
      const text = readFileSync(path, 'utf8');
      const at = target.messages.findIndex((message) => message.text === text);
      // Copies of one text in one folder are told apart by nobody.
      if (target.messages.filter((message) => message.text === text).length !== 1) return;
      if (gone) {
        unlinkSync(path);
        target.messages.splice(at, 1);
      } else if (!target.messages[at]!.flags.has('\\Flagged')) {
        const [base, letters = ''] = file.split(':2,');
        renameSync(path, join(directory, 'cur', `${base}:2,${[...`${letters}F`].sort().join('')}`));
        target.messages[at]!.flags.add('\\Flagged');
      }
      await sleep(30);
    },
  ]);

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MailboxError && error.responseCode === code;
}

async function check(model: Model): Promise<void> {
  const listed = await model.account.engine.list();
  const there = listed.filter(({ exists }) => exists).map((folder) => folder.name);
  assert.deepEqual(there.sort(), [...model.folders.keys()].sort());
  for (const [folderName, folder] of model.folders) {
    const seen = await model.account.look(folderName);
    assert.deepEqual(
      seen.map(({ text }) => text),
      folder.messages.map(({ text }) => text),
      folderName,
    );
    seen.forEach((message, at) => {
      const expected = folder.messages[at]!;
      if (expected.uid === 0) {
        assert.ok(message.uid > folder.highestUid, `UID ${message.uid} came before`);
        expected.uid = message.uid;
      }
      assert.equal(message.uid, expected.uid);
      assert.deepEqual(message.flags, [...expected.flags].sort(), `flags of ${message.uid}`);
    });
    const status = await model.account.engine.status(folderName, {});
    if (folder.uidValidity !== 0) assert.equal(status.uidValidity, folder.uidValidity);
    folder.uidValidity = status.uidValidity;
    const last = seen.at(-1)?.uid ?? 0;
    assert.ok(status.uidNext > Math.max(folder.highestUid, last), 'UIDNEXT is above every UID');
    assert.ok(status.highestModseq >= folder.highestModseq, 'HIGHESTMODSEQ never falls');
    folder.highestUid = Math.max(folder.highestUid, status.uidNext - 1);
    folder.highestModseq = status.highestModseq;
    assert.equal(status.messages, folder.messages.length);
    assert.equal(status.unseen, folder.messages.filter(({ flags: set }) => !set.has('\\Seen')).length);
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: append },
    { weight: 4, arbitrary: store },
    { weight: 2, arbitrary: expunge },
    { weight: 4, arbitrary: transfer },
    { weight: 2, arbitrary: create },
    remove,
    rename,
    { weight: 2, arbitrary: deliver },
    { weight: 2, arbitrary: meddle },
    { weight: 2, arbitrary: reopen },
  ),
  { minLength: 5, maxLength: 40, size: 'max' },
);

const runs = process.env.MAILFILTER_CAMPAIGN === '1' ? 500 : 25;

for (const format of ['maildir', 'mbox'] satisfies Format[]) {
  test(`${format}: random work, other programs and lost indexes against a model`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (chosen) => {
        const account = new TestAccount(format);
        const inbox = { messages: [], uidValidity: 0, highestUid: 0, highestModseq: 0 };
        const model: Model = { account, folders: new Map([['INBOX', inbox]]), count: 0 };
        const done: string[] = [];
        try {
          for (const [title, step] of chosen) {
            done.push(title);
            await step(model);
            await check(model);
          }
        } catch (error) {
          throw new Error(`after: ${done.join('; ')}`, { cause: error });
        } finally {
          await account.close();
        }
      }),
      { numRuns: runs },
    );
  });
}
