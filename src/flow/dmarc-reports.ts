/** Mails the aggregate reports of DMARC once their day is over. RFC 9990. */
import type { AggregateReport } from '../../core/auth/dmarc/aggregate-report.ts';
import { makeReportMail, takesReports } from '../../core/auth/dmarc/report-mail.ts';
import { type GatheredReport, gatherReports } from '../../core/auth/dmarc/report-state.ts';
import type { AuthDns } from '../../core/auth/dns.ts';
import { describeError } from '../../core/base/errors.ts';
import { dmarcLimits } from '../../core/base/limits/auth.ts';
import { isAddress } from '../../core/mail/address.ts';
import type { House } from './house.ts';
import { spoolBytes } from './queued-message.ts';
import { submit } from './submit.ts';

/** Begins to look for reports that are due, now and every hour; answers how to end that. */
export function startDmarcReports(house: () => House, dns: AuthDns): () => void {
  let running = false;
  const look = async () => {
    if (running || !isWanted(house())) return;
    running = true;
    try {
      await sendDueReports(house(), dns);
    } catch (error) {
      house().log.error('dmarc-reports-failed', { error: describeError(error) });
    } finally {
      running = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), dmarcLimits.reportLookMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Every report of a day that is over, to each of its addresses once. */
export async function sendDueReports(house: House, dns: AuthDns): Promise<void> {
  const state = house.state('dmarc');
  const today = new Date(house.clock.now()).toISOString().slice(0, 10);
  for (const report of await gatherReports(state)) {
    if (report.day >= today || report.rows.length === 0) continue;
    for (const address of report.reportTo.filter(isAddress)) {
      const key = `sent/${report.day}/${report.id}/${address}`.slice(0, 500);
      if ((await state.get(key)) !== undefined) continue;
      const outcome = await sendReport(house, report, address, dns);
      const { domain } = report.policy;
      house.log.info('dmarc-report', { domain, day: report.day, address, outcome });
      if (outcome !== 'later') await state.set(key, outcome, { ttlSeconds: dmarcLimits.reportKeptSeconds });
    }
  }
}

/** Some pipeline gathers reports. */
function isWanted({ config }: House): boolean {
  return Object.values(config.pipelines)
    .flat()
    .some(({ plugin, options }) => plugin === 'dmarc' && options.reports === true);
}

async function sendReport(
  house: House,
  report: GatheredReport,
  address: string,
  dns: AuthDns,
): Promise<'sent' | 'not wanted there' | 'refused' | 'later'> {
  try {
    if (!(await takesReports(address, report.policy.domain, dns))) return 'not wanted there';
  } catch (error) {
    house.log.warn('dmarc-report-later', { address, error: describeError(error) });
    return 'later';
  }
  const { hostname, domains } = house.config;
  const from = `postmaster@${domains[0] ?? hostname}`;
  const whole: AggregateReport = { ...report, organization: hostname, email: from };
  const createdAt = house.clock.now();
  const spooled = await spoolBytes(
    house,
    makeReportMail(whole, { from, to: address, hostname, now: createdAt }),
  );
  const id = `dmarc-report/${report.day}/${report.id}/${address}`;
  const request = {
    id,
    createdAt,
    sender: '',
    recipients: [address],
    edits: [],
    smtputf8: false,
    origin: 'house',
  } as const;
  const { outcome } = await submit(house, request, spooled.source, spooled);
  if (outcome === 'retry') return 'later';
  return outcome === 'done' ? 'sent' : 'refused';
}
