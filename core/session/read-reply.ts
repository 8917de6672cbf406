/** The refusal in a plugin's verdict or action, checked. RFC 5321 section 4.2, RFC 2034, RFC 3463. */
import { answerLimits } from '../base/limits/pipeline.ts';
import { BadAnswer } from './bad-answer.ts';
import { readText } from './read-value.ts';

/** Code, enhanced status and text of a refusal; both classes must be `replyClass`. RFC 2034 section 4. */
export function readReply(
  reply: Readonly<Record<string, unknown>>,
  where: string,
  replyClass?: 4 | 5,
): { code: number; enhanced: string; text: string } {
  const { code } = reply;
  // RFC 5321 section 4.2.1: the second digit is 0 to 5.
  if (typeof code !== 'number' || !/^[45][0-5]\d$/.test(String(code))) {
    throw new BadAnswer(`${where}.code ${String(code)} is no reply code of 4yz or 5yz`);
  }
  const codeClass = Math.floor(code / 100);
  if (replyClass !== undefined && codeClass !== replyClass) {
    throw new BadAnswer(`${where}.code ${code} is not ${replyClass}yz`);
  }
  const enhanced = readText(reply.enhanced, `${where}.enhanced`, 11);
  if (!/^[45]\.\d{1,3}\.\d{1,3}$/.test(enhanced) || Number(enhanced[0]) !== codeClass) {
    throw new BadAnswer(`${where}.enhanced "${enhanced}" does not fit the code ${code}`);
  }
  const text = readText(reply.text, `${where}.text`, answerLimits.replyCharactersMax);
  if (/[\0-\x09\x0b-\x1f\x7f]/.test(text)) throw new BadAnswer(`${where}.text holds control characters`);
  return { code, enhanced, text };
}
