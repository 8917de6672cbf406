/** `:bytimerelative`, `:bytimeabsolute`, `:bymode`, `:bytrace` of redirect. RFC 6009 section 5. */
import type { RedirectDelivery } from '../actions.ts';
import { Fault } from '../fault.ts';
import type { Run } from '../run.ts';
import type { Extension } from '../spec.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';

export const redirectDeliverby: Extension = {
  name: 'redirect-deliverby',
  tags: {
    redirect: [
      { name: 'bytimerelative', parameter: 'number', group: 'by time' },
      { name: 'bytimeabsolute', parameter: 'string', group: 'by time' },
      { name: 'bymode', parameter: 'string' },
      { name: 'bytrace' },
    ],
  },
};

export function deliverByOptions(use: Use): (run: Run) => RedirectDelivery {
  const relativeSeconds = use.tagNumber('bytimerelative');
  const absolute = use.tagText('bytimeabsolute');
  const mode = use.tagText('bymode');
  const byTrace = use.has('bytrace');
  const timed = relativeSeconds !== undefined || absolute !== undefined;
  if (!timed && (mode || byTrace)) use.error('the redirect command needs a time with :bymode and :bytrace');
  if (absolute?.constant !== undefined && Number.isNaN(readTime(absolute.constant)))
    use.error(
      `"${absolute.constant}" is no value for :bytimeabsolute: a date of RFC 3339 is expected`,
      use.tagAt('bytimeabsolute'),
    );
  if (mode?.constant !== undefined && !readMode(mode.constant))
    use.error(`"${mode.constant}" is no value for :bymode: NOTIFY or RETURN`, use.tagAt('bymode'));
  return (run) => ({
    ...(relativeSeconds !== undefined && { byTime: { relativeSeconds } }),
    ...(absolute && { byTime: { absoluteMs: absoluteTime(absolute.value(run)) } }),
    ...(mode && { byMode: modeOf(mode.value(run)) }),
    ...(byTrace && { byTrace }),
  });
}

/** Epoch milliseconds. */
function absoluteTime(text: string): number {
  const ms = readTime(text);
  if (Number.isNaN(ms)) throw new Fault(`redirect: "${shown(text)}" is no date for :bytimeabsolute`);
  return ms;
}

/** RFC 3339 section 5.6; NaN for what is none. */
function readTime(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i.test(text)
    ? Date.parse(text)
    : Number.NaN;
}

function modeOf(text: string): 'return' | 'notify' {
  const mode = readMode(text);
  if (mode === undefined) throw new Fault(`redirect: "${shown(text)}" is no value for :bymode`);
  return mode;
}

/** RFC 2852 section 4: R returns, N notifies. */
function readMode(text: string): 'return' | 'notify' | undefined {
  const mode = text.toUpperCase();
  if (mode === 'NOTIFY' || mode === 'N') return 'notify';
  return mode === 'RETURN' || mode === 'R' ? 'return' : undefined;
}
