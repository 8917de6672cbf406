/**
 * Plays ManageSieve conversations written as text. `C:` lines go to the server, `S:` lines come from it (`*` stands for
 * anything); `C! tls` starts a handshake, `S! closed` ends, `== name` begins a new conversation with a fresh home. In C
 * lines `{}` at the end stands for the length of the next `L:` line, a literal whose `\n` are line ends.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Config } from '../../../core/config/config.ts';
import { managesieve } from '../../../src/access/managesieve/index.ts';
import { type AccessDoorInit, openAccessDoor, type TestAccessDoor } from '../../kit/access-door.ts';
import { LineClient } from '../../kit/line-client.ts';

export interface ScriptHome {
  readonly folder: string;
  readonly mailbox: Config['mailbox'];
}

/** Removed with the test. */
export function scriptHome(
  t: Pick<TestContext, 'after'>,
  quota: Partial<Config['mailbox']['sieve']> = {},
): ScriptHome {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-sieve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const directory = join(folder, '{user}', 'sieve');
  const active = join(folder, '{user}', '.dovecot.sieve');
  return {
    folder,
    mailbox: {
      format: 'maildir',
      path: join(folder, '{user}', 'mail'),
      subaddressSeparator: '+',
      quotaBytes: 0,
      sieve: { directory, active, scriptsMax: 5, storageBytesMax: 20_000, imap: false, ...quota },
      procmail: { rcfile: join(folder, '{user}', '.procmailrc') },
    },
  };
}

/** A ManageSieve door over that home. */
export function openSieveDoor(
  t: Pick<TestContext, 'after'>,
  { mailbox }: ScriptHome,
  init: Partial<AccessDoorInit> = {},
): Promise<TestAccessDoor> {
  return openAccessDoor(t, { protocol: managesieve, ...init, config: { mailbox, ...init.config } });
}

export async function playDialogue(
  t: TestContext,
  source: string,
  init: Partial<AccessDoorInit>,
): Promise<void> {
  for (const conversation of source.split(/^== /m).slice(1)) {
    const [name = '', ...lines] = conversation.split('\n');
    await t.test(name, async (t) => {
      const door = await openSieveDoor(t, scriptHome(t), init);
      const client = LineClient.toPort(door.port);
      t.after(() => client.destroy());
      for (const [index, line] of lines.entries()) {
        if (line.trim() === '' || line.startsWith('#')) continue;
        await step(client, line.slice(0, 2), line.slice(3), lines[index + 1]);
      }
    });
  }
}

async function step(client: LineClient, kind: string, text: string, next = ''): Promise<void> {
  if (kind === 'C:') {
    const literal = next.startsWith('L: ') ? literalOf(next.slice(3)) : '';
    client.send(Buffer.from(`${text.replace(/\{\}$/, `{${Buffer.byteLength(literal)}+}`)}\r\n`));
  } else if (kind === 'L:') client.send(Buffer.from(literalOf(text)));
  else if (kind === 'C!') await client.startTls();
  else if (kind === 'S!') assert.equal(await client.line(), undefined, 'the server should close');
  else if (kind === 'S:') assert.match((await client.line()) ?? '<closed>', glob(text));
  else throw new Error(`no step: ${kind} ${text}`);
}

function literalOf(text: string): string {
  return text.replaceAll('\\n', '\r\n');
}

function glob(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}
