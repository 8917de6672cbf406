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

/** Connect, HELO, MAIL, RCPT and the header always come: the message's story and its results are made of them. */
export function termsFor(offer: Terms, raised: ReadonlySet<HookName>): Terms {
  const steps = new Set<StepName>([
    'noUnknown',
    'noReplyHeader',
    'noReplyEndOfHeaders',
    'skip',
    'leadingSpace',
    wantsBody(raised) ? 'noReplyBody' : 'noBody',
  ]);
  if (!raised.has('connect')) steps.add('noReplyConnect');
  if (!raised.has('helo')) steps.add('noReplyHelo');
  if (!raised.has('mailFrom')) steps.add('noReplyMail');
  if (!raised.has('rcptTo')) steps.add('noReplyRcpt');
  if (!raised.has('data')) steps.add('noData');
  return agree(offer, { actions, steps, macros });
}
