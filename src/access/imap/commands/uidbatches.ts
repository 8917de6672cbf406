/** UIDBATCHES: ranges of UIDs that hold equally many messages, the newest first. RFC 10022. */
import { command } from '../command.ts';
import { bad, no } from '../refusal.ts';

/** RFC 10022: smaller batches are what FETCH is for. */
const batchMessagesMin = 500;

export const uidbatches = command({
  name: 'UIDBATCHES',
  in: 'selected',
  parse(input) {
    input.space();
    const size = input.nonZeroNumber();
    if (!input.skip(' ')) return { size, first: 1, last: Number.POSITIVE_INFINITY };
    const one = input.nonZeroNumber();
    const other = input.skip(':') ? input.nonZeroNumber() : one;
    if (other < one) throw bad('a range of batches was expected');
    return { size, first: one, last: other };
  },
  run(session, { size, first, last }, { tag }) {
    if (size < batchMessagesMin) throw no(`a batch has ${batchMessagesMin} messages at least`, 'TOOFEW');
    const { uids } = session.selected.view;
    const ranges: string[] = [];
    for (let batch = first; batch <= last; batch += 1) {
      const end = uids.length - (batch - 1) * size;
      if (end <= 0) break;
      ranges.push(`${uids[end - 1]}:${uids[Math.max(0, end - size)]}`);
    }
    session.untagged(`UIDBATCHES (TAG "${tag}")${ranges.length > 0 ? ` ${ranges.join(',')}` : ''}`);
  },
});
