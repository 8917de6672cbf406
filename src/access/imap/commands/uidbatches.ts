/** UIDBATCHES: ranges of UIDs that hold equally many messages, the newest first. RFC 10022. */
import { command } from '../command.ts';
import { bad, no } from '../refusal.ts';

/** RFC 10022: smaller batches would be message numbers in disguise. */
const batchMessagesMin = 500;

export const uidbatches = command({
  name: 'UIDBATCHES',
  in: 'selected',
  parse(input) {
    input.space();
    const size = input.nonZeroNumber();
    if (!input.skip(' ')) return { size, first: 1, last: Number.POSITIVE_INFINITY };
    const first = input.nonZeroNumber();
    input.expect(':');
    const last = input.nonZeroNumber();
    if (last < first) throw bad('a range of batches ascends', 'CLIENTBUG');
    return { size, first, last };
  },
  run(session, { size, first, last }, { tag }) {
    if (size < batchMessagesMin) throw no(`a batch has ${batchMessagesMin} messages at least`, 'TOOFEW');
    const ranges = batches(session.selected.view.uids, size).slice(first - 1, last);
    const text = ranges.map(({ high, low }) => `${high}:${low}`).join(',');
    session.untagged(`UIDBATCHES (TAG "${tag}")${text === '' ? '' : ` ${text}`}`);
  },
});

/** From the highest UID down to 1 without a gap: what comes to be missing meanwhile moves no border. */
function batches(uids: Uint32Array, size: number): { high: number; low: number }[] {
  const found: { high: number; low: number }[] = [];
  let high = uids.at(-1) ?? 0;
  for (let left = uids.length; left > 0; left -= size) {
    const low = left > size ? uids[left - size]! : 1;
    found.push({ high, low });
    high = low - 1;
  }
  return found;
}
