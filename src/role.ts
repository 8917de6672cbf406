/** Entry of a role's process: `role.ts mta|access CONFIG`, forked by the supervisor, which hears when it is ready or why it is not. */
import module from 'node:module';
import { describeError } from '../core/base/errors.ts';
import type { Role, RoleMessage } from './supervisor.ts';

module.enableCompileCache();
const [role, configFile] = process.argv.slice(2) as [Role, string];
process.title = `mailfilter ${role}`;
// A supervisor that dies takes its roles along: nobody would restart or drain them.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));

try {
  const { runMta, runAccess } = await import('./daemon.ts');
  await (role === 'mta' ? runMta(configFile, tell) : runAccess(configFile, tell));
} catch (error) {
  const exitCode = (error as { exitCode?: number }).exitCode ?? 70;
  tell({ failed: `${role}: ${describeError(error)}`, exitCode });
  process.exitCode = exitCode;
  process.disconnect?.();
}

function tell(message: RoleMessage): void {
  process.send?.(message);
}
