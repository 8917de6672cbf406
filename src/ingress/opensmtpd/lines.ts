/** Lines of OpenSMTPD's filter protocol as values, and back. smtpd-filters(7), versions 0.1 to 0.7 and after. */

/** Of a session; octets are kept in latin1, whatever they are. */
export interface FilterEvent {
  readonly kind: 'report' | 'filter';
  /** `0.6`. */
  readonly version: string;
  /** `connect`, `data-line`, `link-disconnect` ... */
  readonly phase: string;
  /** Hexadecimal. */
  readonly session: string;
  /** filter only: names the question. */
  readonly token: string;
  /** What stands behind, bars included. */
  readonly text: string;
}

/** Undefined for what is no event of smtp-in. */
export function parseEvent(line: string): FilterEvent | undefined {
  const fields = splitFields(line, 7);
  const [kind, version = '', , subsystem, phase = '', session = ''] = fields;
  if ((kind !== 'report' && kind !== 'filter') || subsystem !== 'smtp-in') return undefined;
  if (!/^[0-9a-f]+$/i.test(session)) return undefined;
  if (kind === 'report') return { kind, version, phase, session, token: '', text: fields[6] ?? '' };
  const [token = '', text = ''] = splitFields(fields[6] ?? '', 2);
  return /^[0-9a-f]+$/i.test(token) ? { kind, version, phase, session, token, text } : undefined;
}

/** At most `count` fields; the last has the rest of the line, bars included. */
function splitFields(line: string, count: number): string[] {
  const fields: string[] = [];
  let from = 0;
  while (fields.length < count - 1) {
    const bar = line.indexOf('|', from);
    if (bar === -1) break;
    fields.push(line.slice(from, bar));
    from = bar + 1;
  }
  return [...fields, line.slice(from)];
}

/** How a phase ends. */
export type FilterResult =
  | { readonly result: 'proceed' }
  | { readonly result: 'rewrite'; readonly parameter: string }
  /** Code, enhanced status and text in one line. */
  | { readonly result: 'reject' | 'disconnect'; readonly error: string };

export function formatResult(event: FilterEvent, result: FilterResult): string {
  const words =
    result.result === 'proceed'
      ? 'proceed'
      : `${result.result}|${oneLine(result.result === 'rewrite' ? result.parameter : result.error)}`;
  return `filter-result|${address(event)}|${words}\n`;
}

/** @param line without its end, dots stuffed */
export function formatDataLine(event: FilterEvent, line: string): string {
  return `filter-dataline|${address(event)}|${line}\n`;
}

/** Before version 0.5 the token came first. */
function address({ version, session, token }: FilterEvent): string {
  return /^0\.[0-4]$/.test(version) ? `${token}|${session}` : `${session}|${token}`;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}

const reports = ['link-tls', 'link-disconnect', 'tx-reset'];
const filters = ['connect', 'helo', 'ehlo', 'mail-from', 'rcpt-to', 'data', 'data-line', 'commit'];

/** What we want to hear of, and that we are ready. */
export function registration(): string {
  const lines = [
    ...reports.map((name) => `register|report|smtp-in|${name}`),
    ...filters.map((name) => `register|filter|smtp-in|${name}`),
    'register|ready',
  ];
  return `${lines.join('\n')}\n`;
}
