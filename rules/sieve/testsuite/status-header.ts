/** What a filter wrote into a header field, as spamtest and virustest want it; configured as Pigeonhole has it. */
import type { Fields } from '../fields.ts';
import { compilePosix, PosixPatternError } from '../posix-pattern.ts';
import type { ConfigValues } from './settings.ts';

/** The value that the configured pattern finds in its field. */
function statusText(config: ConfigValues, names: readonly string[], fields: Fields): string | undefined {
  const setting = names.map((name) => config.get(name)).find((value) => value !== undefined && value !== '');
  const match = /^([^:]+):?\s*(.*)$/s.exec(setting ?? '');
  if (!match) return undefined;
  for (const value of fields.values(match[1]!.trim().toLowerCase()).texts) {
    if (match[2] === '') return value;
    try {
      const found = compilePosix(match[2]!, true).exec(value);
      if (found) return found[1] ?? found[0];
    } catch (error) {
      if (!(error instanceof PosixPatternError)) throw error;
    }
  }
  return undefined;
}

/** A share from 0 to 1 of what is certain, undefined where nothing looked. `prefix`: `sieve_spamtest`. */
export function statusRatio(
  config: ConfigValues,
  prefix: string,
  fields: Fields,
  steps: number,
): number | undefined {
  const text = statusText(config, [`${prefix}_status_header`], fields);
  if (text === undefined) return undefined;
  const type = config.get(`${prefix}_status_type`) ?? 'score';
  if (type === 'text') return textRatio(config, prefix, text, steps);
  const max = maxOf(config, prefix, fields);
  if (max === undefined || max === 0) return undefined;
  const score = type === 'strlen' ? text.length : Number.parseFloat(text);
  return Number.isNaN(score) ? undefined : Math.min(1, Math.max(0, score / max));
}

function maxOf(config: ConfigValues, prefix: string, fields: Fields): number | undefined {
  const written = statusText(config, [`${prefix}_score_max_header`, `${prefix}_max_header`], fields);
  const max = written ?? config.get(`${prefix}_score_max_value`) ?? config.get(`${prefix}_max_value`);
  const value = Number.parseFloat(max ?? '');
  return Number.isNaN(value) ? undefined : value;
}

/** The values are numbered: 0 stands for not tested. */
function textRatio(config: ConfigValues, prefix: string, text: string, steps: number): number | undefined {
  for (let step = 0; step <= steps; step++) {
    const value = config.get(`${prefix}_text_value${step}`) ?? config.get(`${prefix}_text_value/${step}`);
    if (value === text) return step === 0 ? undefined : (step - 1) / (steps - 1);
  }
  return undefined;
}
