/** `mailfilter serve`: runs the listeners of a config until SIGTERM or SIGINT. */
import type { Command } from 'commander';
import { serve } from '../supervisor.ts';
import { configOption, findConfig } from './config-file.ts';
import { endWithParent } from './end-with-parent.ts';

export function define(command: Command): void {
  command
    .option(...configOption)
    .option('-q, --quiet', 'do not print what listens')
    .action(async (options: { config?: string; quiet?: boolean }) => {
      endWithParent();
      process.exitCode = await serve(findConfig(options.config), { quiet: options.quiet === true });
    });
}
