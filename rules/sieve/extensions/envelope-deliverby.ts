/** Envelope parts of DELIVERBY. RFC 6009 section 3. */
import type { Extension } from '../spec.ts';

export const envelopeDeliverby: Extension = {
  name: 'envelope-deliverby',
  envelopeParts: {
    bytimeabsolute: {
      isAddress: false,
      values({ environment: { envelope } }) {
        const ms = envelope.byTimeAbsoluteMs;
        return [ms === undefined ? undefined : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')];
      },
    },
    bytimerelative: {
      isAddress: false,
      values: ({ environment: { envelope } }) => [envelope.byTimeRelativeSeconds?.toString()],
    },
    bymode: {
      isAddress: false,
      values: ({ environment: { envelope } }) => [
        envelope.byMode === undefined ? undefined : envelope.byMode[0]!.toUpperCase(),
      ],
    },
    bytrace: {
      isAddress: false,
      values: ({ environment: { envelope } }) => [envelope.byTrace === true ? 'T' : undefined],
    },
  },
};
