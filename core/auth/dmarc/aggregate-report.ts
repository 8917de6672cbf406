/** Aggregate reports: what a domain's policy met in one day, as XML. RFC 9990 section 3. */

/** One kind of message, and how often it came. */
export interface ReportRow {
  readonly sourceIp: string;
  readonly count: number;
  /** What was done; `pass` where DMARC passed. */
  readonly disposition: 'pass' | 'none' | 'quarantine' | 'reject';
  readonly dkimAligned: boolean;
  readonly spfAligned: boolean;
  /** Why something milder than the policy was done. */
  readonly override?: { readonly type: OverrideType; readonly comment?: string };
  readonly headerFrom: string;
  readonly envelopeFrom: string;
  readonly dkim: readonly { readonly domain: string; readonly selector: string; readonly result: string }[];
  readonly spf?: { readonly domain: string; readonly scope: 'mfrom' | 'helo'; readonly result: string };
}

export type OverrideType =
  | 'local_policy'
  | 'mailing_list'
  | 'policy_test_mode'
  | 'trusted_forwarder'
  | 'other';

/** The record as it was found. */
export interface PublishedPolicy {
  readonly domain: string;
  readonly policy: string;
  readonly subdomainPolicy?: string;
  readonly nonexistentPolicy?: string;
  readonly dkimAlignment: 'relaxed' | 'strict';
  readonly spfAlignment: 'relaxed' | 'strict';
  readonly testing: boolean;
  readonly discovery: 'treewalk' | 'psl';
}

export interface AggregateReport {
  readonly organization: string;
  readonly email: string;
  readonly id: string;
  /** Epoch seconds, the second one included. */
  readonly begin: number;
  readonly end: number;
  readonly policy: PublishedPolicy;
  readonly rows: readonly ReportRow[];
}

export function formatAggregateReport(report: AggregateReport): string {
  const { organization, email, id, begin, end, policy, rows } = report;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">',
    element('version', '1.0'),
    group('report_metadata', [
      element('org_name', organization),
      element('email', email),
      element('report_id', id),
      group('date_range', [element('begin', begin), element('end', end)]),
      element('generator', 'mailfilter'),
    ]),
    group('policy_published', [
      element('domain', policy.domain),
      element('discovery_method', policy.discovery),
      element('p', policy.policy),
      element('sp', policy.subdomainPolicy),
      element('np', policy.nonexistentPolicy),
      element('adkim', policy.dkimAlignment === 'strict' ? 's' : 'r'),
      element('aspf', policy.spfAlignment === 'strict' ? 's' : 'r'),
      element('testing', policy.testing ? 'y' : 'n'),
    ]),
    ...rows.map(formatRow),
    '</feedback>',
    '',
  ].join('\n');
}

/** `receiver!domain!begin!end!id.xml.gz`. RFC 9990 section 3.5.2. */
export function reportFileName({ policy, begin, end, id }: AggregateReport, receiver: string): string {
  return `${receiver}!${policy.domain}!${begin}!${end}!${id}.xml.gz`;
}

function formatRow(row: ReportRow): string {
  const { override, spf } = row;
  return group('record', [
    group('row', [
      element('source_ip', row.sourceIp),
      element('count', row.count),
      group('policy_evaluated', [
        element('disposition', row.disposition),
        element('dkim', row.dkimAligned ? 'pass' : 'fail'),
        element('spf', row.spfAligned ? 'pass' : 'fail'),
        override && group('reason', [element('type', override.type), element('comment', override.comment)]),
      ]),
    ]),
    group('identifiers', [
      element('header_from', row.headerFrom),
      element('envelope_from', row.envelopeFrom),
    ]),
    group('auth_results', [
      ...row.dkim.map(({ domain, selector, result }) =>
        group('dkim', [element('domain', domain), element('selector', selector), element('result', result)]),
      ),
      spf &&
        group('spf', [
          element('domain', spf.domain),
          element('scope', spf.scope),
          element('result', spf.result),
        ]),
    ]),
  ]);
}

function group(name: string, children: readonly (string | undefined)[]): string {
  return `<${name}>\n${children.filter((child) => child !== undefined && child !== '').join('\n')}\n</${name}>`;
}

/** Nothing where there is no value. */
function element(name: string, value: string | number | undefined): string {
  return value === undefined ? '' : `<${name}>${escapeXml(String(value))}</${name}>`;
}

/** XML 1.0 section 2.2 knows no control characters; names in mail may hold anything. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
