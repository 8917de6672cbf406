/** The real spamd of a test's own: its rules alone, no network tests, and a Bayes database nobody else uses. */
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from './free-port.ts';
import { accepts, idsOf } from './postfix.ts';
import { type ProcessGroup, type RealDaemon, startGroup } from './process-group.ts';
import { requireProgram } from './require.ts';
import { until } from './server.ts';

export async function startSpamd(t: TestContext): Promise<RealDaemon | undefined> {
  const program = requireProgram(t, 'spamd');
  if (!program) return undefined;
  const spamd = await launchSpamd(program);
  t.after(() => spamd[Symbol.asyncDispose]());
  return spamd;
}

/** Until it is disposed of, and its folder with it. */
export async function launchSpamd(
  program: string,
  { children = 2 }: { children?: number } = {},
): Promise<RealDaemon & AsyncDisposable> {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-spamd-'));
  const port = await freePort();
  const args = ['-L', '-x', '-i', '127.0.0.1', '-p', String(port), '-m', String(children)];
  // Debian's configuration, with a Bayes database of our own.
  const own = [`--cf=bayes_path ${join(directory, 'bayes')}`, '-r', join(directory, 'pid'), '-s', 'stderr'];
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  if (user.length > 0) chownSync(directory, idsOf('nobody').uid, idsOf('nobody').gid);
  let group: ProcessGroup;
  const start = async () => {
    const all = [...args, `--min-children=${children}`, '--allow-tell', ...own, ...user];
    group = startGroup(program, all, { HOME: directory });
    await until('spamd to listen', () => accepts(port), 90_000);
  };
  await start();
  const kill = () => group.kill();
  return {
    address: `127.0.0.1:${port}`,
    port,
    signal: (name) => group.signal(name),
    kill,
    start,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
