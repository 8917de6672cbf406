/** maildrop's own command line: maildrop(1), "Options". */
import { DeliveryError, deliveryCodes } from '../deliver/delivery-error.ts';

export interface MaildropArguments {
  readonly version: boolean;
  /** `''`: the caller; undefined: a filter is named. */
  readonly user: string | undefined;
  readonly filter: string | undefined;
  readonly embedded: boolean;
  /** Name in ~/.mailfilters: -M. */
  readonly embeddedFilter: string | undefined;
  readonly sender: string | undefined;
  /** Fields that go before the mail's own. */
  readonly fields: readonly string[];
  /** `$1`, `$2` ... */
  readonly positional: readonly string[];
}

const withValue = 'dDVMAfwWt';
const without = 'amv';

/** @throws DeliveryError EX_TEMPFAIL, as maildrop: an MTA that is set up wrongly keeps its mail */
export function readMaildropArguments(argv: readonly string[]): MaildropArguments {
  const letters = new Set<string>();
  const values: Record<string, string[]> = {};
  let at = 0;
  while (at < argv.length && argv[at]!.startsWith('-')) {
    const word = argv[at]!;
    at += 1;
    if (word === '--') break;
    const letter = word[1] ?? '';
    letters.add(letter);
    if (withValue.includes(letter) && letter !== '') {
      const value = word.length > 2 ? word.slice(2) : (argv[at++] ?? '');
      values[letter] = [...(values[letter] ?? []), value];
    } else if (letter === '' || !without.includes(letter)) {
      throw new DeliveryError(deliveryCodes.tempFail, 'Bad command line arguments, --help for help.');
    }
  }
  const rest = argv.slice(at);
  const last = (letter: string) => values[letter]?.at(-1);
  const embeddedFilter = last('M');
  if (embeddedFilter === '') throw new DeliveryError(deliveryCodes.tempFail, '-M needs a filter');
  const user = last('d') ?? (embeddedFilter !== undefined || rest.length === 0 ? '' : undefined);
  return {
    version: letters.has('v'),
    user,
    filter: user === undefined ? rest[0] : undefined,
    embedded: letters.has('m') || embeddedFilter !== undefined,
    // A path would lead out of the folder.
    embeddedFilter: embeddedFilter?.replace(/[/.]/g, ':'),
    sender: last('f') || undefined,
    fields: (values.A ?? []).filter((field) => field !== ''),
    positional: user === undefined ? rest.slice(1) : rest,
  };
}
