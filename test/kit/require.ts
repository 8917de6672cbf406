/** Says by name what a test was skipped for; with MAILFILTER_REQUIRE_PEERS=1 a skip is a failure. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));
const suites = join(projectRoot, '..', 'shared', 'suites');

/** True when `present`; otherwise skips the test by name, or fails it where peers are required. */
export function requirePeer(t: TestContext, name: string, present: boolean): boolean {
  if (present) return true;
  assert.notEqual(process.env.MAILFILTER_REQUIRE_PEERS, '1', `${name} is required and missing`);
  t.skip(`needs ${name}`);
  return false;
}

/** Absolute path of a program on the PATH (and in /usr/sbin), or undefined after skipping. */
export function requireProgram(t: TestContext, name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  return requirePeer(t, `the program ${name}`, found !== undefined) ? found : undefined;
}

/** Absolute path of a folder or file of the third-party suites, or undefined after skipping. */
export function requireSuite(t: TestContext, path: string): string | undefined {
  const full = join(suites, path);
  return requirePeer(t, `../shared/suites/${path}`, existsSync(full)) ? full : undefined;
}

/** Absolute path of a file in a package that .ci/peers unpacked beside its rivals, such as ('exim4', 'usr/sbin/exim4'). */
export function requireUnpacked(t: TestContext, folder: string, path: string): string | undefined {
  const full = join(process.env.MAILFILTER_PEERS ?? '/var/cache/mailfilter-peers', folder, path);
  return requirePeer(t, `${path} of ${folder}, unpacked by .ci/peers`, existsSync(full)) ? full : undefined;
}
