/** Where the plugin keeps what aggregate reports need, and how it is read again. RFC 9990. */
import { createHash } from 'node:crypto';
import type { Json } from '../../base/json.ts';
import { dmarcLimits } from '../../base/limits/auth.ts';
import type { AggregateReport, PublishedPolicy, ReportRow } from './aggregate-report.ts';

/** What is needed of a store of keys: a plugin's state has it. */
export interface ReportState {
  get(key: string): Promise<Json | undefined>;
  list(prefix: string, limit?: number): Promise<string[]>;
}

export interface GatheredReport extends Pick<AggregateReport, 'begin' | 'end' | 'policy' | 'rows' | 'id'> {
  /** `2026-11-21`, of UTC. */
  readonly day: string;
  /** Addresses that the domain wants it sent to. */
  readonly reportTo: readonly string[];
}

/** What the plugin keeps to. */
export const reportLimits = {
  keptSeconds: dmarcLimits.reportKeptSeconds,
  rowsMax: dmarcLimits.reportRowsMax,
};

/** The keys of one domain's day. */
export function reportKeys(day: string, domain: string) {
  // A name of DNS may be longer than keys are.
  const name = domain.length <= 200 ? domain : createHash('sha256').update(domain).digest('hex');
  const base = `${day}/${name}`;
  return {
    policy: `policy/${base}`,
    rows: `rows/${base}`,
    rowPrefix: `row/${base}/`,
    row: (hash: string) => `row/${base}/${hash}`,
    count: (hash: string) => `count/${base}/${hash}`,
  };
}

/** The reports of a day, by domain; without a day, of all days that are kept. */
export async function gatherReports(state: ReportState, day = ''): Promise<GatheredReport[]> {
  const reports: GatheredReport[] = [];
  for (const key of await state.list(`policy/${day}`, dmarcLimits.reportRowsMax)) {
    const [, itsDay = '', name = ''] = key.split('/');
    const policy = (await state.get(key)) as unknown as
      | (PublishedPolicy & { reportTo: readonly string[] })
      | undefined;
    if (policy === undefined) continue;
    const begin = Date.parse(itsDay) / 1000;
    const rows = await readRows(state, reportKeys(itsDay, name));
    const id = createHash('sha256').update(`${itsDay} ${policy.domain}`).digest('hex').slice(0, 20);
    reports.push({ day: itsDay, begin, end: begin + 86_399, id, policy, rows, reportTo: policy.reportTo });
  }
  return reports;
}

async function readRows(state: ReportState, keys: ReturnType<typeof reportKeys>): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  for (const key of await state.list(keys.rowPrefix, dmarcLimits.reportRowsMax)) {
    const row = (await state.get(key)) as unknown as Omit<ReportRow, 'count'> | undefined;
    const count = await state.get(keys.count(key.slice(keys.rowPrefix.length)));
    if (row !== undefined && typeof count === 'number') rows.push({ ...row, count });
  }
  return rows;
}
