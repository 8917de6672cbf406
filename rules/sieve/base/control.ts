/** require, if, elsif, else, stop. RFC 5228 section 3. */
import { nearest } from '../../../core/base/nearest.ts';
import type { ActionSpec, Step } from '../spec.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';

const nothing: Step = () => {};

const requireCommand: ActionSpec = {
  name: 'require',
  kind: 'command',
  positional: [{ name: 'capabilities', type: 'string-list' }],
  compile(use) {
    const { compiler } = use;
    if (!compiler.mayRequire || compiler.depth > 1) {
      const message = 'require commands can only be placed at top level at the beginning of the file';
      if (compiler.depth > 1 || compiler.options.strict === true) {
        use.error(message);
        return nothing;
      }
      compiler.problems.warning(use.node.at, 'deprecated', message);
    }
    const [argument] = use.positional;
    const items = argument?.type === 'list' ? argument.items : argument?.type === 'string' ? [argument] : [];
    for (const item of items) requireOne(use, item.text, item.at);
    return nothing;
  },
};

function requireOne(use: Use, name: string, at: number): void {
  const { compiler } = use;
  if (compiler.knows(name)) {
    const replacement = compiler.replacement(name);
    if (replacement !== undefined) {
      const { older, newer } = replacement;
      use.failed = true;
      compiler.problems.error(
        at,
        `the (deprecated) ${older} extension cannot be used together with the ${newer} extension`,
      );
      return;
    }
    if (!compiler.requires.includes(name)) compiler.requires.push(name);
    compiler.enable(name, at);
    return;
  }
  const known = compiler.knowsBase(name)
    ? `\`${name}' is not known as a Sieve capability, but it is known as a Sieve command that is always available`
    : `unknown Sieve capability \`${shown(name)}'${didYouMean(name, compiler)}`;
  use.failed = true;
  compiler.problems.error(at, `require command: ${known}`);
}

function didYouMean(name: string, compiler: Use['compiler']): string {
  const near = nearest(name, compiler.extensionNames());
  return near === undefined ? '' : `; did you mean "${near}"?`;
}

/** The compiler makes branches of these itself; they are never compiled alone. */
const branch = (name: string, tests?: 'one'): ActionSpec => ({
  name,
  kind: 'command',
  ...(tests && { tests }),
  block: true,
  compile: () => nothing,
});

const stop: ActionSpec = {
  name: 'stop',
  kind: 'command',
  ends: true,
  compile: () => (run) => {
    run.exit = { type: 'stop' };
  },
};

export const controlCommands: readonly ActionSpec[] = [
  requireCommand,
  branch('if', 'one'),
  branch('elsif', 'one'),
  branch('else'),
  stop,
];
