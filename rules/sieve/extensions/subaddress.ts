/** `:user` and `:detail` of an address. RFC 5233. */
import type { Run } from '../run.ts';
import type { AddressPart, Extension } from '../spec.ts';

/** Where the first separator stands in a local part, and how long it is. */
function findSeparator(run: Run, local: string): { at: number; length: number } | undefined {
  let found: { at: number; length: number } | undefined;
  for (const separator of run.settings.subaddressSeparators ?? ['+']) {
    const at = separator === '' ? -1 : local.indexOf(separator);
    if (at >= 0 && (!found || at < found.at)) found = { at, length: separator.length };
  }
  return found;
}

const user: AddressPart = {
  name: 'user',
  part(local, _domain, run) {
    const separator = findSeparator(run, local);
    return separator ? local.slice(0, separator.at) : local;
  },
};

/** RFC 5233 section 4: without a separator there is no detail, and with nothing behind it an empty one. */
const detail: AddressPart = {
  name: 'detail',
  part(local, _domain, run) {
    const separator = findSeparator(run, local);
    return separator && local.slice(separator.at + separator.length);
  },
};

export const subaddress: Extension = { name: 'subaddress', addressParts: [user, detail] };
