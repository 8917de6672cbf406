/** Scripts on disk: Pigeonhole's layout, whole at every moment, found by delivery. */
import assert from 'node:assert/strict';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { scriptLimits } from '../../core/base/limits/rules.ts';
import { ActiveScripts } from '../../src/scripts/active-script.ts';
import { type ScriptPlace, scriptPlace } from '../../src/scripts/place.ts';
import { ScriptStore } from '../../src/scripts/script-store.ts';
import { noteForUser } from '../../src/scripts/user-log.ts';

function home(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-scripts-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const place = scriptPlace(
    { directory: join(folder, '{user}/sieve'), active: join(folder, '{user}/.dovecot.sieve') },
    'ann@example.test',
  );
  const store = new ScriptStore(place, { scriptsMax: 10, storageBytesMax: 10_000 });
  return { folder, place, store };
}

/** Read anew. */
async function loaded(place: ScriptPlace) {
  const script = await new ActiveScripts().load(place);
  return script && { name: script.name, source: script.source };
}

test('the layout is that of Pigeonhole', async (t) => {
  const { folder, store } = home(t);
  await store.write('work', Buffer.from('keep;'));
  await store.activate('work');
  assert.equal(readFileSync(join(folder, 'ann/sieve/work.sieve'), 'utf8'), 'keep;');
  assert.equal(readlinkSync(join(folder, 'ann/.dovecot.sieve')), 'sieve/work.sieve');
  assert.deepEqual(await store.list(), [{ name: 'work', active: true, sizeBytes: 5 }]);
});

test('scripts that another server left are found as they lie', async (t) => {
  const { folder, place, store } = home(t);
  mkdirSync(join(folder, 'ann/sieve'), { recursive: true });
  writeFileSync(join(folder, 'ann/sieve/old.sieve'), 'stop;');
  symlinkSync(join(folder, 'ann/sieve/old.sieve'), join(folder, 'ann/.dovecot.sieve'));
  assert.deepEqual(await store.list(), [{ name: 'old', active: true, sizeBytes: 5 }]);
  assert.deepEqual(await loaded(place), { name: 'old', source: 'stop;' });
});

test('a script that is a plain file works, and is kept when another is made active', async (t) => {
  const { folder, place, store } = home(t);
  mkdirSync(join(folder, 'ann'), { recursive: true });
  writeFileSync(join(folder, 'ann/.dovecot.sieve'), 'discard;');
  assert.deepEqual(await loaded(place), { name: '.dovecot', source: 'discard;' });
  assert.equal(await store.activeName(), undefined);
  await store.write('new', Buffer.from('keep;'));
  await store.activate('new');
  assert.deepEqual(
    (await store.list()).map(({ name, active }) => [name, active]),
    [
      ['dovecot.orig', false],
      ['new', true],
    ],
  );
  assert.equal((await store.read('dovecot.orig')).toString(), 'discard;');
});

test('renaming the active script leaves it active at every moment', async (t) => {
  const { place, store } = home(t);
  await store.write('a', Buffer.from('keep;'));
  await store.activate('a');
  const active = new ActiveScripts();
  let missing = 0;
  let stop = false;
  const watching = (async () => {
    while (!stop) if ((await active.load(place)) === undefined) missing += 1;
  })();
  for (const [from, to] of [
    ['a', 'b'],
    ['b', 'c'],
    ['c', 'a'],
  ] as const) {
    await store.rename(from, to);
    assert.equal(await store.activeName(), to);
  }
  stop = true;
  await watching;
  assert.equal(missing, 0);
});

test('delivery sees a new script at once, and the file is read once', async (t) => {
  const { place, store } = home(t);
  const active = new ActiveScripts();
  assert.equal(await active.load(place), undefined);
  await store.write('a', Buffer.from('keep;'));
  await store.activate('a');
  const first = await active.load(place);
  assert.equal(first?.source, 'keep;');
  assert.equal(await active.load(place), first);
  await store.write('a', Buffer.from('stop;'));
  assert.equal((await active.load(place))?.source, 'stop;');
  await store.activate('');
  assert.equal(await active.load(place), undefined);
});

test('a user who has no folder yet can do without a script', async (t) => {
  const { store } = home(t);
  await store.activate('');
  assert.deepEqual(await store.list(), []);
});

test('no temporary file stays', async (t) => {
  const { folder, store } = home(t);
  await store.write('a', Buffer.from('keep;'));
  await store.activate('a');
  await assert.rejects(store.write('b', Buffer.alloc(20_000)), { code: 'script-quota' });
  assert.deepEqual(readdirSync(join(folder, 'ann')).sort(), ['.dovecot.sieve', 'sieve']);
  assert.deepEqual(readdirSync(join(folder, 'ann/sieve')), ['a.sieve']);
});

for (const name of ['', '.', '..', '../x', 'a/b', 'a\nb', 'a\u2028b', '\u0085', 'x'.repeat(241)]) {
  test(`no script is called ${JSON.stringify(name).slice(0, 20)}`, async (t) => {
    const { store } = home(t);
    await assert.rejects(store.write(name, Buffer.from('keep;')), { code: 'script-name' });
  });
}

test('names are the same in either form of Unicode', async (t) => {
  const { store } = home(t);
  await store.write('u\u0308ber', Buffer.from('keep;'));
  assert.equal((await store.read('\u00fcber')).toString(), 'keep;');
});

test('a link does not lead the service out of the folder of its user', async (t) => {
  const { folder, place } = home(t);
  mkdirSync(join(folder, 'ann/rc'), { recursive: true });
  writeFileSync(join(folder, 'secret'), 'key');
  writeFileSync(join(folder, 'ann/rc/mine'), 'A=b');
  const active = new ActiveScripts();
  const rcfile = join(folder, 'ann/.procmailrc');
  symlinkSync('rc/mine', rcfile);
  symlinkSync(folder, join(folder, 'ann/out'));
  symlinkSync('../secret', join(folder, 'ann/stolen'));
  symlinkSync('../secret', place.active);
  assert.equal((await active.loadRcfile(rcfile))?.source, 'A=b');
  await assert.rejects(active.loadRcfile(rcfile, 'stolen'), { code: 'script-unsafe' });
  await assert.rejects(active.loadRcfile(rcfile, 'out/secret'), { code: 'script-unsafe' });
  await assert.rejects(active.load(place), { code: 'script-unsafe' });
});

test('notes for a user are not written through a link, and a long log begins anew', async (t) => {
  const { folder, place } = home(t);
  const log = `${place.active}.log`;
  await noteForUser(place.active, 'one', 0);
  await noteForUser(place.active, 'two', 0);
  assert.equal(readFileSync(log, 'utf8').split('\n').length, 3);
  writeFileSync(log, Buffer.alloc(scriptLimits.userLogBytesMax + 1));
  await noteForUser(place.active, 'three', 0);
  assert.match(readFileSync(log, 'utf8'), /^1970\S+ three\n$/);
  writeFileSync(join(folder, 'journal'), '');
  rmSync(log);
  symlinkSync('../journal', log);
  await assert.rejects(noteForUser(place.active, 'four', 0), { code: 'script-unsafe' });
  assert.equal(readFileSync(join(folder, 'journal'), 'utf8'), '');
});

test('a file of somebody else in the folder of a user is not read', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root to give files away');
  const { place } = home(t);
  mkdirSync(place.directory, { recursive: true });
  writeFileSync(place.active, 'keep;');
  chownSync(place.active, 4242, 4242);
  await assert.rejects(new ActiveScripts().load(place), { code: 'script-unsafe' });
  chownSync(join(place.active, '..'), 4242, 4242);
  assert.equal((await new ActiveScripts().load(place))?.source, 'keep;');
});

test('the version of a script is told without reading it, and only of what was read', async (t) => {
  const { place, store } = home(t);
  const active = new ActiveScripts();
  assert.equal(active.version(place.active), '', 'none');
  await store.write('one', Buffer.from('keep;'));
  await store.write('two', Buffer.from('stop;'));
  await store.activate('one');
  assert.equal(active.version(place.active), undefined, 'not read yet');
  const one = await active.load(place);
  assert.equal(active.version(place.active), one?.version);
  await store.activate('two');
  assert.equal(active.version(place.active), undefined, 'another one');
  const two = await active.load(place);
  assert.notEqual(two?.version, one?.version);
  assert.equal(active.version(place.active), two?.version);
  await store.write('two', Buffer.from('discard;'));
  assert.equal(active.version(place.active), undefined, 'written anew');
});
