/** `:notify` and `:ret` of redirect. RFC 6009 section 4; and how redirect reads them together with `:bytime...`. */
import type { RedirectDelivery } from '../actions.ts';
import { Fault } from '../fault.ts';
import type { Run } from '../run.ts';
import type { Extension } from '../spec.ts';
import type { Use } from '../use.ts';
import { deliverByOptions } from './redirect-deliverby.ts';

export const redirectDsn: Extension = {
  name: 'redirect-dsn',
  tags: {
    redirect: [
      { name: 'notify', parameter: 'string' },
      { name: 'ret', parameter: 'string' },
    ],
  },
};

const words = ['never', 'success', 'failure', 'delay'] as const;

/** What the tags of a redirect ask for. */
export function deliveryOptions(use: Use): (run: Run) => RedirectDelivery {
  const notify = use.tagText('notify');
  const ret = use.tagText('ret');
  const deliverBy = deliverByOptions(use);
  if (notify?.constant !== undefined && !readNotify(notify.constant))
    use.error(
      `"${notify.constant}" is no value for :notify: NEVER, or a list of SUCCESS, FAILURE and DELAY`,
      use.tagAt('notify'),
    );
  if (ret?.constant !== undefined && !readRet(ret.constant))
    use.error(`"${ret.constant}" is no value for :ret: FULL or HDRS`, use.tagAt('ret'));
  return (run) => ({
    ...(notify && { notify: known(readNotify(notify.value(run)), ':notify') }),
    ...(ret && { ret: known(readRet(ret.value(run)), ':ret') }),
    ...deliverBy(run),
  });
}

function known<T>(value: T | undefined, tag: string): T {
  if (value === undefined) throw new Fault(`redirect: the value of ${tag} is not known`);
  return value;
}

function readNotify(text: string): RedirectDelivery['notify'] {
  const list = text
    .toLowerCase()
    .split(',')
    .map((word) => word.trim());
  const right = list.every((word) => (words as readonly string[]).includes(word));
  // RFC 3461 section 4.1: NEVER stands alone.
  if (!right || (list.includes('never') && list.length > 1)) return undefined;
  return list as (typeof words)[number][];
}

function readRet(text: string): 'full' | 'hdrs' | undefined {
  const ret = text.toLowerCase();
  return ret === 'full' || ret === 'hdrs' ? ret : undefined;
}
