/** Both identities of a client, MAIL FROM and HELO, and the fields that tell of the results. RFC 7208 sections 2.3, 2.4 and 9, RFC 8601. */
import type { AuthResult } from '../../mail/authentication-results.ts';
import type { AuthDns } from '../dns.ts';
import { checkHost, type SpfQuestion, type SpfResult, type SpfStep } from './check-host.ts';

export interface SenderCheck {
  /** Of the reverse-path; of the HELO name where the path is null. */
  readonly mailFrom: SpfResult;
  /** Of the HELO name on its own; absent where it was not asked, or is `mailFrom`. */
  readonly helo?: SpfResult;
}

/** @param question its `sender` is the reverse-path, `''` for the null one */
export async function checkSender(
  question: SpfQuestion,
  dns: AuthDns,
  { helo, onStep }: { readonly helo: boolean; readonly onStep?: (step: SpfStep) => void },
): Promise<SenderCheck> {
  const heloQuestion = { ...question, sender: `postmaster@${question.helo}` };
  // RFC 7208 section 2.4
  if (question.sender === '') return { mailFrom: await checkHost(heloQuestion, dns, onStep) };
  if (!helo) return { mailFrom: await checkHost(question, dns, onStep) };
  const [mailFrom, own] = await Promise.all([
    checkHost(question, dns, onStep),
    checkHost(heloQuestion, dns, onStep),
  ]);
  return { mailFrom, helo: own };
}

/** RFC 8601 section 2.7.2. */
export function spfAuthResults({ mailFrom, helo }: SenderCheck, question: SpfQuestion): AuthResult[] {
  const byPath = (result: SpfResult): AuthResult =>
    question.sender === ''
      ? byHelo(result)
      : { ...wordOf(result), properties: { 'smtp.mailfrom': clean(question.sender) } };
  const byHelo = (result: SpfResult): AuthResult => ({
    ...wordOf(result),
    properties: { 'smtp.helo': clean(question.helo) },
  });
  return [byPath(mailFrom), ...(helo === undefined ? [] : [byHelo(helo)])];
}

/** Value of a Received-SPF field. RFC 7208 section 9.1. */
export function formatReceivedSpf({ mailFrom }: SenderCheck, question: SpfQuestion): string {
  const { result, problem, mechanism } = mailFrom;
  const identity = question.sender === '' ? 'helo' : 'mailfrom';
  const pairs = [
    ['client-ip', question.ip],
    ['envelope-from', question.sender],
    ['helo', question.helo],
    ['receiver', question.receiver],
    ['identity', identity],
    ...(mechanism === undefined ? [] : [['mechanism', mechanism] as const]),
    ...(problem === undefined ? [] : [['problem', problem] as const]),
  ] as const;
  return [result, ...pairs.map(([key, value]) => `${key}=${dotAtomOrQuoted(value)};`)]
    .join('\r\n\t')
    .replace(/;$/, '');
}

function wordOf({ result, problem }: SpfResult): Pick<AuthResult, 'method' | 'result' | 'reason'> {
  return { method: 'spf', result, ...(problem !== undefined && { reason: clean(problem) }) };
}

/** A client may have put anything into its words. */
function clean(text: string): string {
  return text.replace(/[\0-\x1f\x7f]/g, '?').slice(0, 300);
}

function dotAtomOrQuoted(text: string): string {
  const plain = clean(text);
  return /^[A-Za-z0-9!#$%&'*+\-/=?^_{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_{|}~]+)*$/.test(plain)
    ? plain
    : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
