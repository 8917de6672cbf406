/** Verify the DKIM signatures of a message. RFC 6376, RFC 8301, RFC 8463. */
import { boundedDns, type DkimResult, dkimAuthResults, signedNames, verifyDkim } from 'mailfilter/auth';
import { definePlugin, type Json } from 'mailfilter/plugin';

export default definePlugin({
  name: 'dkim-verify',
  kind: 'verify',
  // What signers usually cover; an edit of another field may come first.
  reads: ['body', 'header:DKIM-Signature', ...signedNames.map((name) => `header:${name}` as const)],
  options: {
    signaturesMax: {
      type: 'integer',
      minimum: 1,
      maximum: 50,
      default: 10,
      description: 'Signatures that are looked at, from the top; each costs a question to DNS.',
    },
    rsaBitsMin: {
      type: 'integer',
      minimum: 512,
      default: 1024,
      description: 'Signatures of shorter RSA keys are not trusted.',
    },
    allowSha1: { type: 'boolean', default: false, description: 'Trust rsa-sha1, which RFC 8301 forbids.' },
    partialBody: {
      type: 'string',
      enum: ['pass', 'policy'],
      default: 'pass',
      description:
        'The result where octets follow those that a signature covers (l=): anybody may have added them.',
    },
    temperror: {
      type: 'string',
      enum: ['failure', 'mark'],
      default: 'failure',
      description:
        'When no signature passes and DNS had no answer for one: the failure policy (onFailure) decides, or it is only noted.',
    },
    dnsSeconds: {
      type: 'number',
      exclusiveMinimum: 0,
      default: 20,
      description: 'For all questions of one message; then the result is a temperror.',
    },
  },
  hooks: {
    async message({ message }, { options, dns, clock, log, deadline }) {
      const milliseconds = Math.min(options.dnsSeconds * 1000, deadline - clock.now() - 500);
      const results = await verifyDkim(message, boundedDns(dns, milliseconds), {
        ...options,
        allowPartialBody: options.partialBody === 'pass',
        now: clock.now(),
      });
      const words = results.map(({ result }) => result);
      log('verified', { signatures: results.map(({ domain, result }) => `${domain} ${result}`) });
      if (options.temperror === 'failure' && words.includes('temperror') && !words.includes('pass')) {
        throw new Error('DNS has no answer for the key of a DKIM signature');
      }
      return { auth: dkimAuthResults(results), result: { signatures: results.map(resultOf) } };
    },
  },
});

/** What later plugins see: dmarc reads domain and result. */
function resultOf({ domain, selector, identity, algorithm, result, reason, testing }: DkimResult): Json {
  return { domain, selector, identity, algorithm, result, reason, testing };
}
