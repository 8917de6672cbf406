/** Answers what its setup made; says so when the thread ends. */
import { definePlugin } from 'mailfilter/plugin';

let setups = 0;

export default definePlugin({
  name: 'prepared',
  options: { word: { type: 'string' } },
  required: ['word'],
  async setup({ options }) {
    if (options.word === 'none') throw new Error('no such word');
    setups += 1;
    return { pattern: new RegExp(options.word), setups };
  },
  dispose({ prepared, options }) {
    console.log(`disposed of ${options.word} and ${prepared.pattern.source}`);
  },
  hooks: {
    message({ message, results }, { prepared }) {
      const seen = (results.prepared ?? []) as string[];
      const hit = prepared.pattern.test(message.headers.get('Subject') ?? '');
      return { result: [...seen, `${prepared.pattern.source} ${hit} ${prepared.setups}`] };
    },
  },
});
