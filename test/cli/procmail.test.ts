/** procmail check and procmail run, as their users call them. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../kit/command.ts';

const mail = 'From ann@example.org Sat Nov 21 09:00:00 2026\nSubject: hello foo\n\nbody\n';

function newRcfile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-rc-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'rc');
  writeFileSync(path, text);
  return path;
}

test('check: exit code 0 and 1, problems with their line, programs where they are asked for', async (t) => {
  const good = newRcfile(t, ':0:\n* ^Subject: hello\nx\n');
  assert.deepEqual(await runCommand(['procmail', 'check', good]), {
    ...{ code: 0, stderr: '', stdout: `${good}: ok, 0 need a program\n` },
  });
  const bad = newRcfile(t, ':0:\n* (hello\nx\n:0 fw\n|spamc\n');
  const { code, stdout } = await runCommand(['procmail', 'check', '--programs', bad]);
  assert.equal(code, 1);
  assert.ok(stdout.includes(`${bad}:2: the expression "(hello": a "(" is never closed\n`), stdout);
  assert.ok(stdout.includes(`${bad}:5: needs a program (filter): spamc\n`), stdout);
});

test('run: the score of each condition, and what would be done; nothing is', async (t) => {
  const rcfile = newRcfile(t, ':0 c:\n* 2^1 h\n* -1^0\nwhere\n:0 w\n|touch $HOME/never\n');
  const { code, stdout } = await runCommand(['procmail', 'run', rcfile], {
    input: mail,
    cwd: join(rcfile, '..'),
  });
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `${rcfile}:1: matched, score 1
    yes * 2^1 h (+2)
    yes * -1^0 (-1)
${rcfile}:5: matched
=> store where (line 4)
=> program touch ${process.env.HOME ?? ''}/never (line 6)
delivered, exit code 0
`,
  );
  assert.ok(!existsSync(join(rcfile, '../where')));
  const { stdout: json } = await runCommand(['procmail', 'run', '--json', rcfile], { input: mail });
  assert.equal(JSON.parse(json).delivered, true);
});
