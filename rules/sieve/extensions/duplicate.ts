/** The duplicate test. RFC 7352. */
import { createHash } from 'node:crypto';
import { isHeaderName } from '../header-names.ts';
import type { Run } from '../run.ts';
import type { Extension, TestSpec } from '../spec.ts';
import { cutToOctets, shown, textOctets } from '../text.ts';
import type { Use } from '../use.ts';

const week = 7 * 86_400;

/** @param unique the tag that gives the id itself */
export const duplicateTest = (unique: 'uniqueid' | 'value'): TestSpec => ({
  name: 'duplicate',
  kind: 'test',
  tags: [
    { name: 'header', parameter: 'string' },
    { name: unique, parameter: 'string' },
    { name: 'handle', parameter: 'string' },
    { name: 'seconds', parameter: 'number' },
    { name: 'last' },
  ],
  compile(use) {
    const identity = identityOf(use, unique);
    const handle = use.tagText('handle');
    const seconds = use.tagNumber('seconds');
    const last = use.has('last');
    return (run) => {
      const id = identity(run);
      // RFC 7352 section 3.1: without the field no message is a duplicate.
      if (id === undefined) return false;
      const key = hashedKey(run, handle?.value(run) ?? '', id);
      const isSeen = run.ask(`duplicate ${key}`, () => run.environment.duplicateSeen?.(key) ?? false);
      const period = periodOf(run, seconds);
      // Section 3.3: with :last each delivery begins the time anew.
      if ((!isSeen || last) && !run.seen.some((each) => each.key === key))
        run.seen.push({ key, seconds: period });
      return isSeen;
    };
  },
});

/** The text that makes a message the same as another: the Message-ID where nothing else is asked for. */
function identityOf(use: Use, unique: string): (run: Run) => string | undefined {
  if (use.has('header') && use.has(unique))
    use.error(`conflicting :header and :${unique} arguments specified for the duplicate test`);
  const given = use.tagText(unique);
  if (given) return (run) => `u${given.value(run)}`;
  const header = use.tagText('header');
  if (header?.constant !== undefined && !isHeaderName(header.constant))
    use.compiler.problems.warning(
      use.tagAt('header'),
      'invalid-header-name',
      `specified header field name '${shown(header.constant)}' is invalid`,
    );
  return (run) => {
    const value = run.message.fields.rawValues((header?.value(run) ?? 'message-id').toLowerCase())[0];
    return value === undefined || value === '' ? undefined : `u${value}`;
  };
}

function periodOf(run: Run, seconds: number | undefined): number {
  const period = seconds ?? run.settings.duplicateDefaultSeconds ?? week;
  const max = run.settings.duplicateMaxSeconds ?? 0;
  return max > 0 ? Math.min(period, max) : period;
}

/** Keys are short and tell nothing of the message. */
function hashedKey(run: Run, handle: string, id: string): string {
  const hash = createHash('sha256');
  for (const text of [handle, id])
    hash.update(textOctets(cutToOctets(text, run.limits.keyBytesMax))).update('\0');
  return `duplicate:${hash.digest('base64url').slice(0, 32)}`;
}

export const duplicate: Extension = { name: 'duplicate', specs: [duplicateTest('uniqueid')] };
