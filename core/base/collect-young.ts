/**
 * Frees short-lived octet buffers while a large message streams: V8 sees their small heads alone and lets some fifty MiB
 * of them pile up before it collects; with this it is five.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { collectEveryBytes } from './limits/flow.ts';

type Collect = (options: { type: 'minor' }) => void;
let collect: Collect | undefined;
let passed = 0;

/** To be told, on the main thread, of octets whose buffers are used once and dropped. */
export function passedOctets(octets: number): void {
  passed += octets;
  if (passed < collectEveryBytes) return;
  passed = 0;
  collect ??= exposedCollector();
  collect({ type: 'minor' });
}

/** The flag is taken back at once: plugins do not see a `gc`. */
function exposedCollector(): Collect {
  setFlagsFromString('--expose-gc');
  const exposed = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return exposed;
}
