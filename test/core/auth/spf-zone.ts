/** Zones as OpenSPF's suite writes them. */
import type { ZoneData, ZoneFailure, ZoneRecords } from '../../../core/net/dns-zone.ts';

type Entry = 'TIMEOUT' | 'SERVFAIL' | Readonly<Record<string, unknown>>;
export type SuiteZone = Readonly<Record<string, readonly Entry[]>>;

/** Records of type SPF are served as TXT where a name has no TXT records of its own, as the suite's README wants it. */
export function zoneOf(zone: SuiteZone): ZoneData {
  return Object.fromEntries(
    Object.entries(zone)
      .filter(([name]) => isServable(name))
      .map(([name, entries]) => [name, recordsOf(entries)]),
  );
}

function recordsOf(entries: readonly Entry[]): ZoneRecords | ZoneFailure {
  const records: Record<string, unknown[] | 'TIMEOUT' | undefined> = {};
  let failure: 'TIMEOUT' | undefined;
  for (const entry of entries) {
    if (typeof entry === 'string') {
      failure = 'TIMEOUT';
      continue;
    }
    for (const [type, value] of Object.entries(entry)) {
      const before = records[type] ?? [];
      records[type] =
        value === 'TIMEOUT' || before === 'TIMEOUT' ? 'TIMEOUT' : [...before, readValue(type, value)];
    }
  }
  if (records.TXT === undefined && records.SPF !== undefined) records.TXT = records.SPF;
  if (Array.isArray(records.TXT)) records.TXT = records.TXT.filter((text) => text !== 'NONE');
  delete records.SPF;
  if (failure === undefined) return records as ZoneRecords;
  // What the entry does not list times out.
  return Object.keys(records).length === 0
    ? failure
    : ({ A: failure, AAAA: failure, TXT: failure, MX: failure, PTR: failure, ...records } as ZoneRecords);
}

function readValue(type: string, value: unknown): unknown {
  if (type === 'MX') {
    const [preference, exchange] = value as [number, string];
    return { preference: Number(preference), exchange };
  }
  return Array.isArray(value) ? value.join('') : String(value);
}

/** Some names of the suite no resolver would take. */
function isServable(name: string): boolean {
  return name.split('.').every((label) => label !== '' && label.length <= 63);
}
