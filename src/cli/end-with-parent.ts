/** A server that npm, npx or the launcher started ends when that program is gone: SIGKILL, and npm's shell SIGTERM, reach nobody else. */
import { readFileSync } from 'node:fs';

const pollMs = 500;

/** Then this process sends itself SIGTERM. A server started by a shell or a service manager is on its own. */
export function endWithParent(): void {
  const { npm_lifecycle_event: script, MAILFILTER_LAUNCHED: launcher } = process.env;
  if (script === undefined && launcher !== String(process.ppid)) return;
  const parent = process.ppid;
  // npm runs commands through a shell, which lives on when npm was killed.
  const shell = isShell(parent);
  const grandparent = shell ? parentOf(parent) : undefined;
  const timer = setInterval(() => {
    if (process.ppid === parent && (!shell || parentOf(parent) === grandparent)) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, pollMs);
  timer.unref();
}

/** Names of sh(1) on the systems that npm runs on. */
function isShell(pid: number): boolean {
  return /\((?:sh|dash|bash|busybox|ash)\)/.test(statOf(pid));
}

/** Fourth field of proc_pid_stat(5), behind the name, which may hold anything. */
function parentOf(pid: number): string | undefined {
  return /.*\) \S (\d+)/s.exec(statOf(pid))?.[1];
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // Gone, or a system without /proc: the parent's id alone tells.
    return '';
  }
}
