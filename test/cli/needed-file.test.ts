/** What may not be seen is never taken for what is not there: an empty answer would be a lie. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import { loadConfig } from '../../core/config/load.ts';
import { exitCodeOf, exitCodes } from '../../src/cli/exit-codes.ts';
import { isThere, mayRead } from '../../src/cli/needed-file.ts';
import { lookInto } from '../../src/cli/queue/find.ts';

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;

/** Runs as a user who owns nothing. */
function asNobody<T>(run: () => T): T {
  process.seteuid!(nobody);
  try {
    return run();
  } finally {
    process.seteuid!(0);
  }
}

test('a closed folder', { skip: !isRoot && 'needs root' }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-closed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const file = join(folder, 'mailfilter.json');
  writeFileSync(file, JSON.stringify({ hostname: 'mx.example.org', dataDirectory: folder }));
  const config = loadConfig(file);
  const queue = join(folder, 'queue');
  assert.equal(
    asNobody(() => lookInto(config, 'no queue yet', () => 'a queue')),
    'no queue yet',
  );
  mkdirSync(queue, { mode: 0o700 });
  for (const look of [
    () => lookInto(config, 'no queue yet', () => 'a queue'),
    () => isThere(join(queue, 'queue.db')),
    () => mayRead(join(queue, 'queue.db')),
  ]) {
    assert.throws(() => asNobody(look), { code: 'EACCES' });
  }
});

test('permission denied is an exit code of its own, also behind an error that tells more', () => {
  const cause = Object.assign(new Error('EACCES'), { code: 'EACCES' });
  assert.equal(exitCodeOf(cause), exitCodes.noPermission);
  const unreadable = new OperationalError('users-file-unreadable', 'x', { temporary: true, cause });
  assert.equal(exitCodeOf(unreadable), exitCodes.noPermission);
  assert.equal(exitCodeOf(new OperationalError('x', 'x', { temporary: true })), exitCodes.tempFail);
});
