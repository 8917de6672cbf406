/** TLS reports: what happened to sessions with a domain within a day, counted, and sent to where the domain asks. RFC 8460. */
import { request } from 'node:https';
import { gzipSync } from 'node:zlib';
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import type { Json } from '../../core/base/json.ts';
import { outboundLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import { isAddress } from '../../core/mail/address.ts';
import { formatDate, makeMessageId } from '../../core/mail/date.ts';
import type { Dns } from '../../core/net/dns-question.ts';
import type { StateKeys } from '../../core/state/store.ts';
import type { TlsEvent } from './send.ts';

export interface TlsReportsInit {
  readonly hostname: string;
  /** Contact, and sender of the mails. */
  readonly from: string;
  readonly dns: Dns;
  readonly state: StateKeys;
  readonly clock: Clock;
  readonly log: Log;
  /** Puts a report into the queue: id, recipient, message with CRLF line ends. */
  readonly submit: (id: string, recipient: string, message: Buffer) => Promise<void>;
}

export interface TlsReports {
  count(event: TlsEvent): void;
  /** Sends the reports of days that are over; runs by itself too. */
  send(): Promise<void>;
  /** Writes down what was counted. */
  close(): Promise<void>;
}

const dayMs = 86_400_000;
/** Counters are written down this often: a crash loses the sessions since, in a report, not in mail. */
const flushMs = 60_000;
/** RFC 8460 section 4.1: reports leave over some hours, not all at midnight. */
const sendEveryMs = 3_600_000;

/** What is counted for one policy of one domain on one day. */
interface Counted {
  readonly source: string;
  readonly policyStrings: readonly string[];
  readonly stsMx: readonly string[];
  successes: number;
  readonly failures: Record<string, Failure>;
}

interface Failure {
  readonly result: string;
  readonly host: string;
  readonly ip: string;
  readonly localIp: string;
  readonly reason: string;
  count: number;
}

export function createTlsReports(init: TlsReportsInit): TlsReports {
  return new Reports(init);
}

class Reports implements TlsReports {
  readonly #init: TlsReportsInit;
  /** `day/domain` to its policies, since the last time they were written down. */
  readonly #fresh = new Map<string, Map<string, Counted>>();
  readonly #flushTimer: NodeJS.Timeout;
  readonly #sendTimer: NodeJS.Timeout;

  constructor(init: TlsReportsInit) {
    this.#init = init;
    const failed = (event: string) => (error: unknown) =>
      init.log.warn(event, { error: describeError(error) });
    this.#flushTimer = setInterval(() => this.#flush().catch(failed('tls-report-lost')), flushMs).unref();
    this.#sendTimer = setInterval(() => this.send().catch(failed('tls-report-unsent')), sendEveryMs).unref();
  }

  count({ domain, host, ip, localIp, policy, stsMx = [], failure, reason = '' }: TlsEvent): void {
    const day = dayOf(this.#init.clock.now());
    const key = `${day}/${domain}`;
    if (!this.#fresh.has(key) && this.#fresh.size >= outboundLimits.tlsReportDomainsMax) return;
    const policies = this.#fresh.get(key) ?? new Map<string, Counted>();
    this.#fresh.set(key, policies);
    const { source, policyStrings } = policy;
    const name = JSON.stringify([source, policyStrings]);
    const counted = policies.get(name) ?? { source, policyStrings, stsMx, successes: 0, failures: {} };
    policies.set(name, counted);
    if (failure === undefined) counted.successes += 1;
    else addFailure(counted, { result: failure, host, ip, localIp, reason: reason.slice(0, 200), count: 1 });
  }

  async send(): Promise<void> {
    await this.#flush();
    const { state, clock, log } = this.#init;
    const today = dayOf(clock.now());
    for (const key of await state.list('tls-report/', outboundLimits.tlsReportDomainsMax)) {
      const [, day = '', domain = ''] = key.split('/');
      if (day >= today) continue;
      try {
        const policies = (await state.get(key)) as unknown as Counted[] | undefined;
        if (policies !== undefined) await this.#sendOne(day, domain, policies);
        await state.delete(key);
      } catch (error) {
        // Tried again in an hour; its time to live ends it.
        log.warn('tls-report-unsent', { domain, day, error: describeError(error) });
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#flushTimer);
    clearInterval(this.#sendTimer);
    await this.#flush();
  }

  /** Adds what is fresh to what is written down. */
  async #flush(): Promise<void> {
    const { state } = this.#init;
    for (const [key, policies] of [...this.#fresh]) {
      this.#fresh.delete(key);
      const kept = ((await state.get(`tls-report/${key}`)) as unknown as Counted[] | undefined) ?? [];
      const merged = new Map(kept.map((each) => [JSON.stringify([each.source, each.policyStrings]), each]));
      for (const [name, counted] of policies) {
        const before = merged.get(name);
        if (before === undefined) merged.set(name, counted);
        else mergeInto(before, counted);
      }
      const value = [...merged.values()] as unknown as Json;
      await state.set(`tls-report/${key}`, value, { ttlSeconds: (3 * dayMs) / 1000 });
    }
  }

  async #sendOne(day: string, domain: string, policies: readonly Counted[]): Promise<void> {
    const { dns, hostname, from, submit } = this.#init;
    const uris = await reportUris(dns, domain);
    if (uris.length === 0) return;
    const id = `${day}.${domain}@${hostname}`;
    const report = gzipSync(JSON.stringify(reportOf({ day, domain, policies, hostname, contact: from, id })));
    for (const uri of uris) {
      if (uri.startsWith('https:')) await post(uri, report);
      else {
        const recipient = decodeURIComponent(uri.slice('mailto:'.length).split('?', 1)[0]!);
        if (!isAddress(recipient)) continue;
        const message = mailOf({
          day,
          domain,
          hostname,
          from,
          recipient,
          id,
          report,
          now: this.#init.clock.now(),
        });
        await submit(`tls-report/${id}/${recipient}`, recipient, message);
      }
    }
  }
}

function addFailure({ failures }: Counted, failure: Failure): void {
  const name = `${failure.result} ${failure.host} ${failure.ip}`;
  const known = failures[name];
  if (known) known.count += failure.count;
  else if (Object.keys(failures).length < outboundLimits.tlsReportFailuresMax) failures[name] = failure;
}

function mergeInto(counted: Counted, more: Counted): void {
  counted.successes += more.successes;
  for (const failure of Object.values(more.failures)) addFailure(counted, failure);
}

/** RFC 8460 section 3: one TXT record, v=TLSRPTv1, rua with mailto: and https: URIs. */
async function reportUris(dns: Dns, domain: string): Promise<string[]> {
  const texts = await dns.txt(`_smtp._tls.${domain}`);
  const records = texts.filter((text) => /^v=TLSRPTv1[ \t]*;/.test(text));
  if (records.length !== 1) return [];
  const rua = /;[ \t]*rua[ \t]*=[ \t]*([^;]+)/.exec(records[0]!)?.[1] ?? '';
  return rua
    .split(',')
    .map((uri) => uri.trim())
    .filter((uri) => /^(?:mailto|https):/i.test(uri))
    .slice(0, 10);
}

interface ReportFacts {
  readonly day: string;
  readonly domain: string;
  readonly policies: readonly Counted[];
  readonly hostname: string;
  readonly contact: string;
  readonly id: string;
}

/** RFC 8460 section 4.4. */
function reportOf({ day, domain, policies, hostname, contact, id }: ReportFacts): Json {
  return {
    'organization-name': hostname,
    'date-range': { 'start-datetime': `${day}T00:00:00Z`, 'end-datetime': `${day}T23:59:59Z` },
    'contact-info': contact,
    'report-id': id,
    policies: policies.map(({ source, policyStrings, stsMx, successes, failures }) => ({
      policy: {
        // RFC 8460 section 4.2 knows no policy of the sender's own.
        'policy-type': source === 'config' ? 'no-policy-found' : source,
        'policy-domain': domain,
        ...(policyStrings.length > 0 ? { 'policy-string': [...policyStrings] } : {}),
        ...(stsMx.length > 0 ? { 'mx-host': [...stsMx] } : {}),
      },
      summary: {
        'total-successful-session-count': successes,
        'total-failure-session-count': Object.values(failures).reduce((sum, { count }) => sum + count, 0),
      },
      'failure-details': Object.values(failures).map(({ result, host, ip, localIp, reason, count }) => ({
        'result-type': result,
        ...(localIp === '' ? {} : { 'sending-mta-ip': localIp }),
        'receiving-mx-hostname': host,
        'receiving-ip': ip,
        'failed-session-count': count,
        ...(reason === '' ? {} : { 'failure-reason-code': reason }),
      })),
    })),
  };
}

/** RFC 8460 section 5.3: a mail with the report in it, gzipped; from an address that signs with DKIM. */
function mailOf(facts: {
  readonly day: string;
  readonly domain: string;
  readonly hostname: string;
  readonly from: string;
  readonly recipient: string;
  readonly id: string;
  readonly report: Buffer;
  readonly now: number;
}): Buffer {
  const { day, domain, hostname, from, recipient, id, report, now } = facts;
  const boundary = `=_${Buffer.from(id).toString('hex').slice(0, 40)}`;
  const name = `${hostname}!${domain}!${Date.parse(day) / 1000}!${Date.parse(day) / 1000 + 86_399}.json.gz`;
  const lines = [
    `From: <${from}>`,
    `To: <${recipient}>`,
    `Date: ${formatDate(now)}`,
    `Message-ID: ${makeMessageId(hostname, now)}`,
    `Subject: Report Domain: ${domain} Submitter: ${hostname} Report-ID: <${id}>`,
    `TLS-Report-Domain: ${domain}`,
    `TLS-Report-Submitter: ${hostname}`,
    'TLS-Required: No',
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type="tlsrpt"; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    `This is a report on TLS sessions with the hosts of ${domain} on ${day}, from ${hostname}.`,
    '',
    `--${boundary}`,
    'Content-Type: application/tlsrpt+gzip',
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment; filename="${name}"`,
    '',
    ...(report.toString('base64').match(/.{1,76}/g) ?? []),
    '',
    `--${boundary}--`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'));
}

/** RFC 8460 section 3: a broken certificate there is no reason to keep the report back. */
function post(uri: string, report: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request(uri, {
      method: 'POST',
      headers: { 'content-type': 'application/tlsrpt+gzip', 'content-length': report.length },
      rejectUnauthorized: false,
      agent: false,
      signal: AbortSignal.timeout(outboundLimits.stsFetchMs),
    });
    asked.on('error', reject);
    asked.on('response', (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      if (statusCode >= 200 && statusCode < 300) resolve();
      else reject(new Error(`HTTP status ${statusCode}`));
    });
    asked.end(report);
  });
}

/** `2026-11-21`, in UTC: RFC 8460 section 4.1. */
function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}
