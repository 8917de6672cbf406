/** The envelope test. RFC 5228 section 5.4. */
import { partOf } from '../address-values.ts';
import type { EnvelopePart, Extension, TestSpec } from '../spec.ts';
import { shown } from '../text.ts';
import { Values } from '../values.ts';

const envelopeTest: TestSpec = {
  name: 'envelope',
  kind: 'test',
  matches: true,
  addressPart: true,
  positional: [
    { name: 'envelope part', type: 'string-list' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const names = use.texts(0);
    const lookUp = (name: string) => use.compiler.envelopePart(name.toLowerCase());
    const constant = names.constant?.map(lookUp);
    for (const name of names.constant ?? []) {
      const part = lookUp(name);
      if (!part) {
        use.error(
          `specified envelope part '${shown(name)}' is not supported by the envelope test`,
          use.at(0),
        );
        break;
      }
      // RFC 6009 section 2: what is no address has no parts.
      if (!part.isAddress && use.groups.has('ADDRESS-PART') && !use.has('all'))
        use.error(`envelope part '${shown(name)}' is no address: only :all is possible`, use.at(0));
    }
    const addressPart = use.compiler.addressPart(use);
    const match = use.match(1);
    return (run) => {
      const wanted = names.values(run);
      run.trace?.input('parts', wanted);
      const texts: string[] = [];
      for (const part of constant ?? wanted.map(lookUp)) {
        for (const value of part?.values(run) ?? []) {
          const text = value === undefined || !part!.isAddress ? value : partOf(run, addressPart, value);
          if (text !== undefined) texts.push(text);
        }
      }
      return match(run, new Values(texts));
    };
  },
};

const parts: Readonly<Record<string, EnvelopePart>> = {
  from: { isAddress: true, values: ({ environment }) => [environment.envelope.from] },
  to: { isAddress: true, values: ({ environment }) => [environment.envelope.to] },
  'orig-to': { isAddress: true, values: ({ environment }) => [environment.envelope.originalTo] },
  auth: { isAddress: false, values: ({ environment }) => [environment.envelope.auth] },
};

export const envelope: Extension = { name: 'envelope', specs: [envelopeTest], envelopeParts: parts };
