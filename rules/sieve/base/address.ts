/** The address test. RFC 5228 section 5.1. */
import { addressValues } from '../address-values.ts';
import { chooseFields } from '../field-choice.ts';
import type { AddressField } from '../fields.ts';
import { headerNames } from '../header-names.ts';
import type { TestSpec } from '../spec.ts';
import { shown } from '../text.ts';

/** Fields that hold addresses, as their RFCs have it; anything else would never match. RFC 5228 section 5.1. */
const addressFields: ReadonlySet<string> = new Set([
  'from',
  'to',
  'cc',
  'bcc',
  'sender',
  'reply-to',
  'resent-from',
  'resent-to',
  'resent-cc',
  'resent-bcc',
  'resent-sender',
  'resent-reply-to',
  'delivered-to',
  'x-original-to',
  'envelope-to',
  'x-envelope-to',
  'x-envelope-from',
  'return-path',
  'return-receipt-to',
  'disposition-notification-to',
  'original-recipient',
  'original-from',
  'mail-followup-to',
  'mail-reply-to',
  'errors-to',
  'x-beenthere',
  'x-sieve-redirected-from',
  'approved',
]);

export const address: TestSpec = {
  name: 'address',
  kind: 'test',
  matches: true,
  addressPart: true,
  positional: [
    { name: 'header list', type: 'string-list' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const names = headerNames(use, 0);
    for (const name of use.texts(0).constant ?? []) {
      // Parts may have address fields of their own. RFC 5703 section 4.2.
      if (use.has('mime') || addressFields.has(name.toLowerCase())) continue;
      use.error(`specified header '${shown(name)}' is not allowed for the address test`, use.at(0));
      break;
    }
    const part = use.compiler.addressPart(use);
    const match = use.match(1);
    const fields = chooseFields(use);
    return (run) => {
      const wanted = names(run);
      run.trace?.input('headers', wanted);
      const found: AddressField[] = [];
      for (const name of wanted) found.push(...fields.addressFields(run, name));
      return match(run, addressValues(run, part, found));
    };
  },
};
