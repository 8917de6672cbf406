/** Counts messages for the aggregate reports of their domains, in the plugin's state. RFC 9990. */
import { createHash } from 'node:crypto';
import type { DmarcPolicy, DmarcResult, ReportRow } from 'mailfilter/auth';
import { reportKeys, reportLimits } from 'mailfilter/auth';
import type { HookContext, Json, MessageInput } from 'mailfilter/plugin';
import type { Inputs } from './inputs.ts';
import type { Override } from './override.ts';

export interface Judged {
  readonly input: MessageInput;
  readonly inputs: Inputs;
  readonly result: DmarcResult;
  readonly override: Override | undefined;
  readonly applied: DmarcPolicy;
}

/** Nothing is kept for domains that want no reports. */
export async function countForReport(
  judged: Judged,
  { state, clock, options, log }: HookContext<{ readonly mode: 'rfc9989' | 'rfc7489' }>,
): Promise<void> {
  const { found } = judged.result;
  if (found === undefined || found.record.reportTo.length === 0) return;
  const day = new Date(clock.now()).toISOString().slice(0, 10);
  const row = rowOf(judged);
  const hash = createHash('sha256').update(JSON.stringify(row)).digest('hex').slice(0, 24);
  const keys = reportKeys(day, found.domain);
  const kept = { ttlSeconds: reportLimits.keptSeconds };
  const isNew = await state.setIfAbsent(keys.row(hash), row as unknown as Json, kept);
  if (isNew && (await state.increment(keys.rows, 1, kept)) > reportLimits.rowsMax) {
    await state.delete(keys.row(hash));
    log('report-full', { domain: found.domain });
    return;
  }
  await state.increment(keys.count(hash), 1, kept);
  const { record, domain } = found;
  const published = { domain, ...record, discovery: options.mode === 'rfc9989' ? 'treewalk' : 'psl' };
  await state.setIfAbsent(keys.policy, published as unknown as Json, kept);
}

/** Everything of a row but its count. */
function rowOf({ input, inputs, result, override, applied }: Judged): Omit<ReportRow, 'count'> {
  const { connection, envelope } = input;
  const { spf, dkim } = inputs;
  const testing = result.result === 'fail' && result.testing && override === undefined;
  const told = testing ? { type: 'policy_test_mode' as const } : override;
  return {
    sourceIp: connection.remoteIp,
    disposition: result.result === 'pass' ? 'pass' : applied,
    dkimAligned: result.aligned.dkim,
    spfAligned: result.aligned.spf,
    ...(told !== undefined && { override: told }),
    headerFrom: result.author,
    envelopeFrom: envelope.sender.slice(envelope.sender.lastIndexOf('@') + 1).toLowerCase(),
    dkim: dkim.map(({ domain, selector, result: word }) => ({ domain, selector, result: word })),
    ...(spf !== undefined && {
      spf: { ...spf, scope: envelope.sender === '' ? ('helo' as const) : ('mfrom' as const) },
    }),
  };
}
