/** `queue` of the config: when mail that waits is tried again, and for how long. */
import { list, section, whole } from './words.ts';

/** Default delays between attempts: quick at first, then every four hours. */
const defaultRetrySeconds = [60, 300, 900, 3600, 7200, 14_400] as const;

export const queue = section('Mail that waits.', {
  retrySeconds: list(
    'Delay before each further attempt; the last repeats.',
    { type: 'integer', minimum: 1, maximum: 604_800 },
    { minItems: 1, maxItems: 100, default: [...defaultRetrySeconds] },
  ),
  expireSeconds: whole('Age at which mail is given up. RFC 5321 section 4.5.4.1.', 432_000, 60, 31_536_000),
  delayNoticeSeconds: whole(
    'Age at which the sender hears that mail still waits; 0: only who asked for it (NOTIFY=DELAY) hears.',
    14_400,
    0,
    31_536_000,
  ),
  quarantineSeconds: whole(
    'Age at which quarantined mail that nobody released is deleted; 0: never.',
    30 * 86_400,
    0,
    31_536_000,
  ),
});
