/** A line of a Sieve trace as people read it. */
import type { TraceLine } from '../../rules/sieve/index.ts';

/** `  12  header :contains ["subject"] ... -> true` */
export function traceText(line: TraceLine): string {
  const { match, keys, values, ...others } = line.inputs;
  const words = [line.name];
  if (match !== undefined) words.push(String(match));
  for (const [name, value] of Object.entries(others)) words.push(`${name} ${shown(value)}`);
  if (keys !== undefined) words.push(`keys ${shown(keys)}`);
  if (values !== undefined) words.push(`found ${shown(values)}`);
  const outcome = line.kind === 'test' ? (line.outcome === true ? 'yes' : 'no') : line.outcome;
  return `  ${line.script}:${String(line.line).padEnd(4)} ${words.join(' ')} -> ${outcome}`;
}

function shown(value: TraceLine['inputs'][string]): string {
  return typeof value === 'string' || Array.isArray(value) ? JSON.stringify(value) : String(value);
}
