/** Which header fields a test looks at: those of the message, of MIME parts, or one by its number. RFC 5703, RFC 5260. */
import { decodeWords } from '../../core/mail/encoded-word.ts';
import { indexChoice } from './extensions/index.ts';
import { mimeFields, mimeOption } from './extensions/mime.ts';
import { type AddressField, type Fields, readAddressField } from './fields.ts';
import type { Run } from './run.ts';
import type { Use } from './use.ts';
import { Values } from './values.ts';

export interface FieldChoice {
  /** Decoded values of the fields of those names. */
  values(run: Run, lowerNames: readonly string[]): Values;
  /** As they are, unfolded. */
  rawValues(run: Run, lowerName: string): readonly string[];
  /** Field by field, as addresses. */
  addressFields(run: Run, lowerName: string): readonly AddressField[];
}

export function chooseFields(use: Use): FieldChoice {
  const fields: (run: Run) => Fields = mimeFields(use) ?? ((run) => run.message.fields);
  const option = mimeOption(use);
  const choose = indexChoice(use);
  if (!choose && !option) {
    return {
      values: (run, names) => fields(run).valuesOfAll(names),
      rawValues: (run, name) => fields(run).rawValues(name),
      addressFields: (run, name) => fields(run).addressFields(name),
    };
  }
  const rawValues = (run: Run, name: string) => {
    const all = fields(run).rawValues(name);
    return choose ? choose(all) : all;
  };
  const decodedValues = (run: Run, name: string) => {
    const raw = rawValues(run, name);
    return option ? raw.flatMap((value) => option(run, name, value)) : raw.map(decodeWords);
  };
  return {
    rawValues,
    values: (run, names) => new Values(names.flatMap((name) => decodedValues(run, name))),
    addressFields: (run, name) => rawValues(run, name).map(readAddressField),
  };
}
