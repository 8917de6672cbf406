/** Which pipeline of a config a command for one message runs. */
import type { Config } from '../../core/config/config.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** The one that was named, else `inbound`, or the only one. */
export function pipelineName(named: string | undefined, config: Config): string {
  const known = Object.keys(config.pipelines);
  const name = named ?? (known.includes('inbound') ? 'inbound' : known.length === 1 ? known[0] : undefined);
  if (name !== undefined && known.includes(name)) return name;
  throw new CommandError(
    exitCodes.usage,
    named === undefined
      ? `${config.file} has several pipelines`
      : `${config.file} has no pipeline "${named}"`,
    `Name one with --pipeline: ${known.join(', ') || 'there is none'}.`,
  );
}
