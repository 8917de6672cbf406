/** Spans of time as people read and write them on a command line. */
import { InvalidArgumentError, Option } from 'commander';

/** `3d4h`, `2h5m`, `7m`, `12s`; what is past counts as nothing. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h${minutes % 60}m` : `${Math.floor(hours / 24)}d${hours % 24}h`;
}

const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** An option that takes a span of time; the help shows its default as it would be written. */
export function timeOption(flags: string, description: string, fallback: string): Option {
  return new Option(flags, description).argParser(readDuration).default(readDuration(fallback), fallback);
}

/** `7d`, `12h`, `90m`, `1d12h` of a command line, in milliseconds. @throws InvalidArgumentError for anything else */
export function readDuration(text: string): number {
  if (!/^(?:\d{1,6}[smhdw])+$/.test(text)) {
    throw new InvalidArgumentError('a time is written 90s, 15m, 12h or 30d');
  }
  const parts = text.matchAll(/(\d+)([smhdw])/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * unitMs[unit!]!, 0);
}
