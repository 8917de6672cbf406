/** Whether the process that made a lock file still lives: its number alone does not tell, since numbers are given again. proc(5). */
import { readFileSync } from 'node:fs';
import { errnoOf } from '../../core/base/errors.ts';

/** Of field 22, whatever the kernel counts in. */
const ticksPerSecond = 100;
/** The clocks of files and processes are read one after the other. */
const toleranceMs = 1000;

/**
 * False when there is no such process, when it has ended and only waits to be noticed, or when it began after the lock
 * was made and so cannot have made it.
 * @param madeMs epoch milliseconds at which the lock was made
 */
export function isHolderAlive(pid: number, madeMs: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return false;
    const uptimeMs = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000;
    const startedMs = Date.now() - uptimeMs + (Number(fields[19]) / ticksPerSecond) * 1000;
    return startedMs <= madeMs + toleranceMs;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ESRCH') throw error;
    // Without /proc the number must do.
    return hasProcess(pid);
  }
}

function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}
