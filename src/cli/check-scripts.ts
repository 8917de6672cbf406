/** Whether scripts that users may upload are ever run: the pipeline of their mail has to hold the plugin. */
import type { Config } from '../../core/config/config.ts';
import type { Finding } from './check.ts';

export function checkScripts(config: Config): Finding[] {
  const runs = (name: string) => config.pipelines[name]?.some(({ plugin }) => plugin === 'sieve') === true;
  const used = config.listeners.flatMap(({ pipeline }) => (pipeline === undefined ? [] : [pipeline]));
  const { pipeline } = config.mailbox;
  const names = pipeline === undefined ? [...used, 'inbound'] : [pipeline];
  if (names.some(runs)) return [];
  return config.listeners
    .filter(({ protocol }) => protocol === 'managesieve')
    .map(({ name }) => ({
      severity: 'warning',
      area: 'listener',
      where: name,
      what: `users upload Sieve scripts that nothing runs: put the plugin "sieve" into the pipeline "${pipeline ?? 'inbound'}"`,
    }));
}
