/** What this filter asks of an MTA: the steps its plugins have hooks for, waiting only for answers that somebody gives. */
import { agree, type MacroStage, type StepName, type Terms } from '../../../core/net/milter/index.ts';
import type { HookName } from '../../../core/session/powers.ts';

/** What the envelope and the connection are known by; everything else an MTA might send is left with it. */
const macros: Readonly<Partial<Record<MacroStage, readonly string[]>>> = {
  connect: ['j', 'v', '{daemon_addr}', '{daemon_port}'],
  helo: ['{tls_version}', '{cipher}', '{cert_subject}', '{verify}'],
  mail: ['i', '{auth_authen}', '{auth_type}'],
  rcpt: ['i'],
  data: ['i'],
  endOfHeaders: ['i'],
  endOfMessage: ['i'],
};

const actions: Terms['actions'] = new Set([
  'addHeaders',
  'changeBody',
  'addRecipient',
  'deleteRecipient',
  'changeHeaders',
  'quarantine',
  'changeSender',
  'addRecipientWithArguments',
  'setMacros',
]);

/** True when some plugin sees the message; without one its body need not come. */
export function wantsBody(raised: ReadonlySet<HookName>): boolean {
  return raised.has('headers') || raised.has('message');
}

/**
 * Connect, HELO, MAIL, RCPT and the header always come: the message's story and its results are made of them.
 * @param silent answers that nobody gives need not be waited for; false where an MTA's second small write would wait
 *   40 ms for the acknowledgement that comes with an answer (Nagle's algorithm and delayed ACK)
 */
export function termsFor(offer: Terms, raised: ReadonlySet<HookName>, silent: boolean): Terms {
  const steps = new Set<StepName>(['noUnknown', 'skip', 'leadingSpace']);
  if (!wantsBody(raised)) steps.add('noBody');
  if (silent) for (const step of unanswered(raised)) steps.add(step);
  return agree(offer, { actions, steps, macros });
}

function unanswered(raised: ReadonlySet<HookName>): StepName[] {
  const steps: StepName[] = ['noReplyHeader', 'noReplyEndOfHeaders'];
  if (wantsBody(raised)) steps.push('noReplyBody');
  if (!raised.has('connect')) steps.push('noReplyConnect');
  if (!raised.has('helo')) steps.push('noReplyHelo');
  if (!raised.has('mailFrom')) steps.push('noReplyMail');
  if (!raised.has('rcptTo')) steps.push('noReplyRcpt');
  if (!raised.has('data')) steps.push('noData');
  return steps;
}
