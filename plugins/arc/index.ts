/** Verify the chain of ARC sets that forwarders left. RFC 8617 section 5.2. */
import { arcAuthResult, boundedDns, verifyArc } from 'mailfilter/auth';
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'arc',
  kind: 'verify',
  reads: [
    'body',
    'header:From',
    'header:Subject',
    'header:To',
    'header:Date',
    'header:Message-ID',
    'header:ARC-Seal',
  ],
  options: {
    trustedSealers: {
      type: 'array',
      items: { type: 'string' },
      description:
        'Domains (d=) whose word counts: where all of a chain are among them, dmarc believes what the first one found.',
    },
    rsaBitsMin: {
      type: 'integer',
      minimum: 512,
      default: 1024,
      description: 'Shorter RSA keys are not trusted.',
    },
    temperror: {
      type: 'string',
      enum: ['failure', 'mark'],
      default: 'mark',
      description: 'When DNS has no answer: the failure policy (onFailure) decides, or it is only noted.',
    },
    dnsSeconds: {
      type: 'number',
      exclusiveMinimum: 0,
      default: 20,
      description: 'For all questions of one message; then nothing is known of its chain.',
    },
  },
  setup: ({ options }) => new Set(options.trustedSealers.map((domain) => domain.toLowerCase())),
  hooks: {
    async message({ message }, { options, prepared: trustedSealers, dns, clock, log, deadline }) {
      const bounded = boundedDns(dns, Math.min(options.dnsSeconds * 1000, deadline - clock.now() - 500));
      const chain = await verifyArc(message, bounded, { rsaBitsMin: options.rsaBitsMin, now: clock.now() });
      const { result, reason, instances, sealers, firstResults } = chain;
      log('verified', { result, instances, reason });
      if (result === 'temperror' && options.temperror === 'failure') throw new Error(`ARC: ${reason}`);
      const trusted = result === 'pass' && sealers.every((domain) => trustedSealers.has(domain));
      const dmarc = firstResults.find(({ method }) => method === 'dmarc')?.result ?? 'none';
      return {
        auth: [arcAuthResult(chain)],
        result: { result, instances, sealers, trusted, dmarc },
      };
    },
  },
});
