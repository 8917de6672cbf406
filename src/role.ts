/** Entry of a role's process: `role.ts mta|access CONFIG NUMBER`, forked by the supervisor, which hears when it is ready or why it is not. */
import { describeError } from '../core/base/errors.ts';
import { exitCodeOf, exitCodes } from './cli/exit-codes.ts';
import type { Role, RoleMessage } from './supervisor.ts';

const [role, configFile, index] = process.argv.slice(2) as [Role, string, string];
process.title = `mailfilter ${role}`;
// A supervisor that dies takes its roles along: nobody would restart or drain them.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));

try {
  // Each loads only what it runs.
  if (role === 'mta') await (await import('./daemon.ts')).runMta(configFile, tell);
  else await (await import('./access-role.ts')).runAccess(configFile, Number(index), tell);
} catch (error) {
  const exitCode = exitCodeOf(error);
  // A bug is looked for by its stack, what is expected is mended in the config.
  const stack = exitCode === exitCodes.software && error instanceof Error ? error.stack : undefined;
  tell({ failed: `${role}: ${stack ?? `${describeError(error)}\nThe config is ${configFile}`}`, exitCode });
  process.exitCode = exitCode;
  process.disconnect?.();
}

function tell(message: RoleMessage): void {
  process.send?.(message);
}
