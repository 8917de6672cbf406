/** keep, discard, redirect. RFC 5228 sections 4.2 to 4.4. */
import { isAddress } from '../../../core/mail/address.ts';
import { listMembers } from '../extensions/extlists.ts';
import { deliveryOptions } from '../extensions/redirect-dsn.ts';
import { Fault } from '../fault.ts';
import type { Entry } from '../plan.ts';
import type { Run } from '../run.ts';
import { parseSingleAddress } from '../single-address.ts';
import type { ActionSpec } from '../spec.ts';
import { flagsOption } from '../store-options.ts';
import type { Text } from '../strings.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';

const keep: ActionSpec = {
  name: 'keep',
  kind: 'command',
  compile(use) {
    const flags = flagsOption(use);
    return (run) => {
      const chosen = flags(run);
      const { edits } = run.message;
      const at = run.place;
      const entry: Entry = {
        kind: 'keep',
        at,
        key: inboxKey,
        finish: () => ({ type: 'keep', implicit: false, flags: chosen, edits, at }),
      };
      run.plan.add(entry, true);
      run.trace?.input('did', 'keep');
    };
  },
};

/** keep and fileinto "INBOX" are one action. */
export const inboxKey = 'store INBOX';

const discard: ActionSpec = {
  name: 'discard',
  kind: 'command',
  compile: () => (run) => {
    const at = run.place;
    run.plan.add({ kind: 'discard', at, key: 'discard', finish: () => ({ type: 'discard', at }) }, true);
    run.trace?.input('did', 'discard');
  },
};

const redirect: ActionSpec = {
  name: 'redirect',
  kind: 'command',
  positional: [{ name: 'address', type: 'string' }],
  compile(use) {
    const { compiler } = use;
    if (compiler.limits.redirectsMax === 0) use.error('redirect is not allowed here');
    const text = use.text(0);
    const fromList = use.has('list');
    const address = fromList ? undefined : redirectAddress(use, text);
    const copy = use.has('copy');
    const delivery = deliveryOptions(use);
    return (run) => {
      const targets = address ? [address(run)] : listMembers(run, text.value(run));
      for (const target of targets) addRedirect(run, target, copy, delivery(run));
    };
  },
};

function addRedirect(
  run: Run,
  address: string,
  copy: boolean,
  delivery: ReturnType<ReturnType<typeof deliveryOptions>>,
): void {
  // What no server takes would hold up the message for ever.
  if (!isAddress(address)) throw new Fault(`redirect: '${shown(address)}' is no address to send to`);
  const { edits } = run.message;
  const at = run.place;
  const entry: Entry = {
    kind: 'redirect',
    at,
    key: `redirect ${address}`,
    finish: () => ({ type: 'redirect', address, copy, edits, at, ...delivery }),
  };
  run.plan.add(entry, !copy);
  run.trace?.input('did', `redirect to ${address}`);
}

/** Constant addresses are checked before the run. */
function redirectAddress(use: Use, text: Text): (run: Run) => string {
  const lenient = use.compiler.options.strict !== true;
  const read = (written: string): { readonly address: string } | { readonly error: string } => {
    // A name alone is somebody of the same domain.
    if (lenient && /^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(written)) return { address: written };
    const parsed = parseSingleAddress(written);
    if ('error' in parsed)
      return { error: `specified redirect address '${shown(written)}' is invalid: ${parsed.error}` };
    return parsed;
  };
  if (text.constant === undefined) {
    return (run) => {
      const parsed = read(text.value(run));
      if ('error' in parsed) throw new Fault(parsed.error);
      return withDomain(run, parsed.address);
    };
  }
  const parsed = read(text.constant);
  if ('error' in parsed) {
    use.error(parsed.error, use.at(0));
    return () => '';
  }
  const { address } = parsed;
  if (address.includes('@')) return () => address;
  use.compiler.problems.warning(
    use.at(0),
    'deprecated',
    `the redirect address "${shown(address)}" has no domain`,
  );
  return (run) => withDomain(run, address);
}

function withDomain(run: Run, address: string): string {
  if (address.includes('@')) return address;
  const own = run.environment.envelope.to ?? run.settings.userAddress ?? '';
  const at = own.lastIndexOf('@');
  if (at < 0) throw new Fault(`the redirect address "${shown(address)}" has no domain`);
  return `${address}${own.slice(at)}`;
}

export const baseActions: readonly ActionSpec[] = [keep, discard, redirect];
