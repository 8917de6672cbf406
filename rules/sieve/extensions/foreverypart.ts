/** foreverypart and break. RFC 5703 section 3. */
import { runBlock } from '../compiler.ts';
import { walkParts } from '../mime/part.ts';
import type { Loop } from '../run.ts';
import type { ActionSpec, Extension, Step } from '../spec.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';

const nothing: Step = () => {};

/** Taken as it stands: there are no variables in a name. */
function loopName(use: Use): string | undefined {
  const argument = use.tags.get('name');
  return argument?.type === 'string' ? argument.text : undefined;
}

const loop: ActionSpec = {
  name: 'foreverypart',
  kind: 'command',
  block: true,
  tags: [{ name: 'name', parameter: 'string' }],
  compile(use) {
    const { compiler } = use;
    compiler.needsBody = true;
    if (compiler.loops.length >= compiler.limits.loopDepthMax) {
      use.error(
        `the nested foreverypart loop exceeds the nesting limit (<= ${compiler.limits.loopDepthMax} levels)`,
      );
    }
    const name = loopName(use);
    compiler.loops.push(name);
    const steps = compiler.block(use.node.block ?? []);
    compiler.loops.pop();
    return (run) => {
      const outer = run.loops.at(-1);
      const parts = [...walkParts(outer?.part ?? run.message.tree(run.limits))];
      // Within a loop it is the parts inside of the current one.
      if (outer) parts.shift();
      const own: Loop = { name, part: parts[0]! };
      run.loops.push(own);
      for (const part of parts) {
        own.part = part;
        run.count(1);
        runBlock(run, steps);
        if (run.exit) break;
      }
      run.loops.pop();
      if (run.exit?.type === 'break' && run.exit.loop === own) run.exit = undefined;
    };
  },
};

const breakCommand: ActionSpec = {
  name: 'break',
  kind: 'command',
  ends: true,
  tags: [{ name: 'name', parameter: 'string' }],
  compile(use) {
    const name = loopName(use);
    const { loops } = use.compiler;
    if (loops.length === 0 || (name !== undefined && !loops.includes(name))) {
      const named = name === undefined ? '' : ` named \`${shown(name)}'`;
      use.error(`the break command is not placed inside a foreverypart loop${named}`);
      return nothing;
    }
    return (run) => {
      const ended = name === undefined ? run.loops.at(-1) : run.loops.findLast((each) => each.name === name);
      run.exit = { type: 'break', loop: ended! };
    };
  },
};

export const foreverypart: Extension = { name: 'foreverypart', specs: [loop, breakCommand] };
