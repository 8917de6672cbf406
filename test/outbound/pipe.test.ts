/** Mail for programs: what their exit codes mean, what they are given, and that nothing of them stays. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { render } from '../../core/mail/render.ts';
import { runCommand, runPipe } from '../../src/outbound/pipe.ts';
import { memorySource } from '../kit/message-source.ts';
import { until } from '../kit/server.ts';

const mail = {
  sender: 'ann@ours.test',
  recipient: 'Bob@Far.test',
  rendered: render(memorySource('Subject: x\r\n\r\n.dot\r\n'), []),
};
const sh = (script: string, ...args: string[]) => ['/bin/sh', '-c', script, 'sh', ...args];

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'mailfilter-pipe-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const ends: readonly { name: string; command: readonly string[]; want: RegExp }[] = [
  { name: 'exit 0', command: sh('cat > /dev/null'), want: /^250 2\.0\.0/ },
  { name: 'exit 0 without reading', command: sh('exit 0'), want: /^250 2\.0\.0/ },
  { name: 'EX_TEMPFAIL', command: sh('echo busy; exit 75'), want: /^451 4\.3\.0 .*ended with 75: busy$/ },
  { name: 'EX_NOUSER', command: sh('echo who? >&2; exit 67'), want: /^554 5\.1\.1 .*: who\?$/ },
  { name: 'another code', command: sh('exit 1'), want: /^554 5\.3\.0 .*ended with 1$/ },
  { name: 'a signal', command: sh('kill -9 $$'), want: /^451 4\.3\.0 .*a signal$/ },
  { name: 'no such program', command: ['/nonexistent/program'], want: /^451 4\.3\.5 cannot run/ },
];
for (const { name, command, want } of ends) {
  test(`a program that ends: ${name}`, async () => {
    const { code, enhanced, text } = await runPipe(command, mail);
    assert.match(`${code} ${enhanced} ${text}`, want);
  });
}

test('it is given the message with LF, and its placeholders filled as words of their own', async (t) => {
  const file = join(folder(t), 'got');
  const script = `{ printf '%s|' "$@"; echo "$SENDER $RECIPIENT"; cat; } > ${file}`;
  const reply = await runPipe(sh(script, '{sender}', '{user} of {domain}', '{other}'), {
    ...mail,
    recipient: '$(id)@far.test',
  });
  assert.equal(reply.code, 250);
  assert.equal(
    readFileSync(file, 'latin1'),
    'ann@ours.test|$(id) of far.test|{other}|ann@ours.test $(id)@far.test\nSubject: x\n\n.dot\n',
  );
});

test('an address that a program would take for an option is refused', async () => {
  assert.equal((await runPipe(sh('exit 0'), { ...mail, recipient: '-rf@far.test' })).code, 553);
});

test('a program that does not end is ended with all that it started, and tried again', async (t) => {
  const file = join(folder(t), 'pid');
  const running = runCommand(sh(`sleep 600 & echo $! > ${file}; wait`), mail, { timeoutMs: 2000 });
  await until('its child', () => existsSync(file) && /^\d+\n$/.test(readFileSync(file, 'latin1')));
  const { code } = await running;
  assert.equal(code, 451);
  const pid = readFileSync(file, 'latin1').trim();
  // A container's first process may leave the dead unburied.
  await until('the end of its child', () => {
    try {
      return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
      return true;
    }
  });
});
