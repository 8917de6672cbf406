/** imaptest's scripted conversations, each against a fresh mailbox. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { imap } from '../../../src/access/imap/protocol.ts';
import { openAccessDoor } from '../../kit/access-door.ts';
import { runImapScript } from '../../kit/imap-script.ts';
import { requireSuite } from '../../kit/require.ts';

test('scripted conversations', async (t) => {
  const suite = requireSuite(t, 'imap/imaptest');
  if (!suite) return;
  const names = readdirSync(suite).filter(
    // Beside them lie scripts that the suite itself calls broken.
    (name) => !name.endsWith('.mbox') && statSync(join(suite, name)).isFile(),
  );
  for (const name of names) {
    await t.test(name, async (each) => {
      const mailRoot = mkdtempSync(join(tmpdir(), 'mailfilter-imap-'));
      const { port } = await openAccessDoor(each, {
        protocol: imap,
        listener: { protocol: 'imap' },
        mailRoot,
      });
      each.after(() => rmSync(mailRoot, { recursive: true, force: true }));
      const own = join(suite, `${name}.mbox`);
      const mbox = readFileSync(existsSync(own) ? own : join(suite, 'default.mbox'), 'latin1');
      const script = readFileSync(join(suite, name), 'latin1');
      const server = { port, user: 'alice@example.test', password: 'secret' };
      const skipped = await runImapScript({ name, script, mbox }, server);
      if (skipped) each.skip(skipped);
    });
  }
});
