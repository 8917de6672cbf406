/** `:bytimerelative`, `:bytimeabsolute`, `:bymode`, `:bytrace` of redirect. RFC 6009 section 5. */
import type { RedirectDelivery } from '../actions.ts';
import { Fault } from '../fault.ts';
import type { Run } from '../run.ts';
import type { Extension } from '../spec.ts';
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
  return (run) => ({
    ...(relativeSeconds !== undefined && { byTime: { relativeSeconds } }),
    ...(absolute && { byTime: { absoluteMs: absoluteTime(absolute.value(run)) } }),
    ...(mode && { byMode: modeOf(mode.value(run)) }),
    ...(byTrace && { byTrace }),
  });
}

/** RFC 3339. */
function absoluteTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Fault(`redirect: "${text}" is no date for :bytimeabsolute`);
  return ms;
}

/** RFC 2852 section 4: R returns, N notifies. */
function modeOf(text: string): 'return' | 'notify' {
  const mode = text.toUpperCase();
  if (mode === 'NOTIFY' || mode === 'N') return 'notify';
  if (mode === 'RETURN' || mode === 'R') return 'return';
  throw new Fault(`redirect: "${text}" is no value for :bymode`);
}
