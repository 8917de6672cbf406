/** One pipeline of a config in this process, for a command that runs it on one message. */
import { systemClock } from '../../core/base/clock.ts';
import type { Log } from '../../core/base/log.ts';
import type { Config } from '../../core/config/config.ts';
import { createDns } from '../../core/net/dns.ts';
import { createPipelines } from '../../core/pipeline/pipeline.ts';
import type { Pipelines } from '../../core/pipeline/request.ts';
import type { PluginMailboxes, PluginScripts } from '../../core/plugin/hooks.ts';
import { openMemoryState } from '../../core/state/memory.ts';
import type { StateStore } from '../../core/state/store.ts';
import { programDirectory } from './installation.ts';

/** Of the one user whom this process serves. */
export interface UserQuestions {
  readonly scripts: PluginScripts;
  readonly mailboxes: PluginMailboxes;
}

/** One pipeline, with state of its own: trying a message leaves no mark on what the server remembers. */
export function openOnePipeline(
  config: Config,
  name: string,
  log: Log,
  state: Pick<StateStore, 'forPlugin'> = openMemoryState({ clock: systemClock, log }),
  questions?: UserQuestions,
): Promise<Pipelines> {
  const noUser = (): never => {
    throw new TypeError('no user: the deliver hook does not run here');
  };
  return createPipelines({
    threads: 1,
    threadMemoryMiB: config.processes.threadMemoryMiB,
    installDirectory: programDirectory,
    baseDirectory: config.baseDirectory,
    hostname: config.hostname,
    domains: config.domains,
    limits: config.limits,
    log,
    services: {
      dns: createDns({ ...config.dns, clock: systemClock, log }),
      state: (plugin) => state.forPlugin(plugin),
      scripts: questions ? () => questions.scripts : noUser,
      mailboxes: questions ? () => questions.mailboxes : noUser,
    },
    pipelines: { [name]: config.pipelines[name] ?? [] },
  });
}
