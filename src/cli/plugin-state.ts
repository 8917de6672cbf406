/** A plugin's state for a command: asked of the server that runs, or opened where none does. */
import { systemClock as clock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import type { Config } from '../../core/config/config.ts';
import type { PluginState } from '../../core/plugin/hooks.ts';
import { openState } from '../../core/state/store.ts';
import { connectCalls } from '../calls/connect.ts';
import { openDataDirectory, runDirectory } from '../data-directory.ts';
import { become, systemUser } from '../privileges.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { runningServer } from './running-server.ts';

export interface PluginStates {
  forPlugin(name: string): PluginState;
  /** What was changed is kept when this resolves. */
  close(): Promise<void>;
}

/**
 * Where no server runs root becomes the config's user for good.
 * @throws CommandError where the state is in the memory of a server that does not run
 */
export function openPluginStates(config: Config): PluginStates {
  if (runningServer(config) !== undefined) {
    const calls = connectCalls(runDirectory(config.dataDirectory));
    return { forPlugin: (name) => calls.state(name), close: async () => calls.close() };
  }
  if (config.state.engine === 'memory') {
    throw new CommandError(
      exitCodes.unavailable,
      'the state is kept in memory, and no server runs that has it',
      'Start the server, or set "state": { "engine": "sqlite" }.',
    );
  }
  // What root made there the server could not write to.
  const owner = process.getuid?.() === 0 && config.user !== undefined ? systemUser(config.user) : undefined;
  const data = openDataDirectory(config.dataDirectory, owner);
  if (owner) become(owner);
  const store = openState({ engine: 'sqlite', directory: data.path('state'), clock, log: silentLog });
  return {
    forPlugin: (name) => store.forPlugin(name),
    close: async () => {
      await store.close();
      data.release();
    },
  };
}

/** Runs `work` on what a plugin keeps; what it changed is kept when this resolves. */
export async function withState<Answer>(
  config: Config,
  plugin: string,
  work: (state: PluginState) => Promise<Answer>,
): Promise<Answer> {
  const states = openPluginStates(config);
  try {
    return await work(states.forPlugin(plugin));
  } finally {
    await states.close();
  }
}
