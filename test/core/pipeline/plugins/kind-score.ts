/** A plugin of kind score that leaves a mark. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'kind-score',
  kind: 'score',
  hooks: { message: () => ({ result: 'ran', score: 1 }) },
});
