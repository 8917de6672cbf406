/** extracttext: the text of a MIME part in a variable. RFC 5703 section 7. */
import { readableText } from '../mime/part.ts';
import type { ActionSpec, Extension, Step } from '../spec.ts';
import { applyModifiers, assignable, chosenModifiers, variablesModifiers } from './variables.ts';

const nothing: Step = () => {};

const extract: ActionSpec = {
  name: 'extracttext',
  kind: 'command',
  tags: [{ name: 'first', parameter: 'number' }, ...variablesModifiers.map(({ name }) => ({ name }))],
  positional: [{ name: 'varname', type: 'string' }],
  compile(use) {
    const { compiler } = use;
    compiler.needsBody = true;
    if (!compiler.uses('variables')) {
      use.error('extracttext extension cannot be used without variables extension');
      return nothing;
    }
    if (compiler.loops.length === 0) {
      use.error('the extracttext command is not placed inside a foreverypart loop');
      return nothing;
    }
    const target = assignable(use, 0);
    const modifiers = chosenModifiers(use);
    const first = use.tagNumber('first');
    return (run) => {
      // RFC 5703 section 7: what has no content of its own is the empty string.
      const { part } = run;
      const isLeaf = part.type !== 'multipart' && part.children.length === 0;
      const text = (isLeaf ? readableText(part, run.limits.bodyTextBytesMax) : undefined) ?? '';
      run.countOctets(text.length);
      const start = text.slice(0, 4 * run.limits.variableBytesMax);
      const wanted = first === undefined ? start : [...start].slice(0, first).join('');
      target?.set?.(run, applyModifiers(run, modifiers, wanted));
    };
  },
};

export const extracttext: Extension = { name: 'extracttext', specs: [extract] };
