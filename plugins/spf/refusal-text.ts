/** What a refused client is told. RFC 7208 sections 6.2 and 8.4, RFC 7372. */
import type { SpfQuestion, SpfResult } from 'mailfilter/auth';

/** Longer words of a stranger's domain are not passed on. */
const explanationCharactersMax = 400;

/** One line. The domain's own words are marked as such: the client must not take them for ours. */
export function refusalText(
  { domain, result, explanation, problem }: SpfResult,
  { ip }: SpfQuestion,
  showExplanation: boolean,
): string {
  if (result === 'permerror')
    return `SPF record of ${domain} cannot be used: ${(problem ?? '').slice(0, 200)}`;
  const told = `[${ip}] may not send mail for ${domain}`;
  const words = explanation?.trim() ?? '';
  const safe = showExplanation && words !== '' && words.length <= explanationCharactersMax;
  return safe ? `${told}; ${domain} explains: ${words}` : told;
}
