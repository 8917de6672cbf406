/** __NAME__: marks mail whose subject shouts, in capital letters alone. */
import { addHeader, definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: '__NAME__',
  kind: 'score',
  // What the plugin looks at and changes: the order of a pipeline is checked by it.
  reads: ['header:Subject'],
  writes: ['header:X-Shouting'],
  options: {
    lettersMin: {
      type: 'integer',
      minimum: 1,
      default: 5,
      description: 'Shorter subjects are never called shouting.',
    },
    score: { type: 'number', default: 1.5, description: 'Points for a subject that shouts.' },
  },
  hooks: {
    message({ message }, { options, log }) {
      const subject = message.headers.decoded('Subject') ?? '';
      if (!isShouting(subject, options.lettersMin)) return;
      log('shouting', { letters: subject.length });
      return {
        symbols: [{ name: 'SHOUTING', score: options.score }],
        edits: [addHeader('X-Shouting', 'yes')],
      };
    },
  },
});

/** True for at least `lettersMin` letters of which none is small. */
function isShouting(text: string, lettersMin: number): boolean {
  const letters = text.match(/\p{L}/gu)?.join('') ?? '';
  return (
    letters.length >= lettersMin && letters === letters.toUpperCase() && letters !== letters.toLowerCase()
  );
}
