/** What users' scripts may use on this server, as its plugin sieve is set: extensions and redirects. */
import type { Config } from '../../../core/config/config.ts';
import { defaultSieveLimits, programExtensions, sieveExtensions } from '../../../rules/sieve/index.ts';

export interface ScriptRules {
  readonly extensions: readonly string[];
  readonly redirectsMax: number;
}

/** Programs need a folder that the config names; where several pipelines run scripts the strictest counts. */
export function scriptRulesOf({ pipelines }: Pick<Config, 'pipelines'>): ScriptRules {
  const settings = Object.values(pipelines)
    .flat()
    .filter(({ plugin }) => plugin === 'sieve')
    .map(({ options }) => options);
  const programs = settings.length > 0 && settings.every((options) => options.programs !== undefined);
  const redirects = settings.map(({ redirectsMax }) =>
    typeof redirectsMax === 'number' ? redirectsMax : defaultSieveLimits.redirectsMax,
  );
  return {
    extensions: sieveExtensions.filter((name) => programs || !programExtensions.includes(name)),
    redirectsMax: redirects.length > 0 ? Math.min(...redirects) : defaultSieveLimits.redirectsMax,
  };
}
