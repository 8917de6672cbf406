/** vnd.dovecot.report: complains about the message to an address, as an abuse report. RFC 5965. */
import { Fault } from '../fault.ts';
import { fieldText, writeMail } from '../generated-mail.ts';
import { boundaryFor, partOf } from '../reject-message.ts';
import type { Run } from '../run.ts';
import { parseSingleAddress } from '../single-address.ts';
import type { ActionSpec, Extension } from '../spec.ts';
import type { Text } from '../strings.ts';
import { octetsText, shown } from '../text.ts';
import type { Use } from '../use.ts';

const report: ActionSpec = {
  name: 'report',
  kind: 'command',
  tags: [{ name: 'headers_only' }],
  positional: [
    { name: 'feedback-type', type: 'string' },
    { name: 'message', type: 'string' },
    { name: 'address', type: 'string' },
  ],
  compile(use) {
    const feedback = checkedText(use, 0, (text) =>
      feedbackType.test(text) ? undefined : `specified feedback type '${shown(text)}' is invalid`,
    );
    const words = use.text(1);
    const address = checkedText(use, 2, addressProblem);
    const headersOnly = use.has('headers_only');
    if (!headersOnly) use.compiler.needsBody = true;
    return (run) => {
      const parsed = parseSingleAddress(address(run)) as { readonly address: string };
      const recipient = parsed.address;
      const type = feedback(run).toLowerCase();
      const text = words.value(run);
      const at = run.place;
      const message = compose(run, { type, text, recipient, headersOnly });
      run.plan.add({
        kind: 'report',
        at,
        key: `report ${type} ${recipient.toLowerCase()}`,
        finish: () => ({ type: 'report', feedback: type, recipient, message, at }),
      });
      run.trace?.input('did', `report to ${recipient}`);
    };
  },
};

/** RFC 5965 section 7.3: an atom or a token. */
const feedbackType = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]{1,64}$/;

function addressProblem(text: string): string | undefined {
  const parsed = parseSingleAddress(text);
  return 'error' in parsed
    ? `specified report address '${shown(text)}' is invalid: ${parsed.error}`
    : undefined;
}

/** Constant arguments are checked before the run. */
function checkedText(
  use: Use,
  index: number,
  problemOf: (text: string) => string | undefined,
): (run: Run) => string {
  const text: Text = use.text(index);
  const known = text.constant === undefined ? undefined : problemOf(text.constant);
  if (known) use.error(`report command: ${known}`, use.at(index));
  return (run) => {
    const value = text.value(run);
    const problem = text.constant === undefined ? problemOf(value) : undefined;
    if (problem) throw new Fault(`report command: ${problem}`);
    return value;
  };
}

interface Report {
  readonly type: string;
  readonly text: string;
  readonly recipient: string;
  readonly headersOnly: boolean;
}

/** RFC 5965 section 2: words, machine-readable facts, and the message or its header. */
function compose(run: Run, { type, text, recipient, headersOnly }: Report): Uint8Array {
  const { envelope } = run.environment;
  const hostname = run.settings.hostname ?? 'localhost';
  const from = run.settings.reportFrom ?? `postmaster@${hostname}`;
  const boundary = boundaryFor();
  const ip = run.environment.item?.('remote-ip');
  const facts = [
    `Feedback-Type: ${type}`,
    'User-Agent: mailfilter',
    'Version: 1',
    ...(envelope.from === undefined ? [] : [`Original-Mail-From: <${fieldText(envelope.from)}>`]),
    ...(envelope.to === undefined ? [] : [`Original-Rcpt-To: <${fieldText(envelope.to)}>`]),
    ...(ip === undefined ? [] : [`Source-IP: ${fieldText(ip)}`]),
    `Reported-Domain: ${hostname}`,
  ];
  const original = headersOnly
    ? octetsText(Buffer.concat(run.message.fields.all.map(({ raw }) => raw)))
    : octetsText(run.message.whole());
  return writeMail(run, {
    fields: [
      ['From', `<${from}>`],
      ['To', `<${recipient}>`],
      ['Subject', `Report: ${fieldText(run.message.fields.values('subject').texts[0] ?? '')}`],
      ['Auto-Submitted', 'auto-generated (report)'],
      ['Precedence', 'bulk'],
    ],
    isMime: true,
    body: [
      `Content-Type: multipart/report; report-type=feedback-report; boundary="${boundary}"\r\n\r\n`,
      partOf(boundary, 'text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit', text),
      partOf(boundary, 'message/feedback-report', `${facts.join('\r\n')}\r\n`),
      partOf(boundary, headersOnly ? 'text/rfc822-headers' : 'message/rfc822', original),
      `--${boundary}--\r\n`,
    ].join(''),
  });
}

export const dovecotReport: Extension = { name: 'vnd.dovecot.report', specs: [report] };
