/** include, return, global: scripts within scripts. RFC 6609. */
import { runBlock } from '../compiler.ts';
import type { ScriptName } from '../environment.ts';
import { Fault } from '../fault.ts';
import type { Run } from '../run.ts';
import type { Script } from '../script.ts';
import type { ActionSpec, Extension, Step } from '../spec.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';
import { globalVariable } from './variables.ts';

const group = 'location';
const nothing: Step = () => {};

const includeCommand: ActionSpec = {
  name: 'include',
  kind: 'command',
  tags: [
    {
      name: 'personal',
      read: (use) => location(use),
    },
    {
      name: 'global',
      read: (use) => location(use),
    },
    { name: 'optional' },
    { name: 'once' },
  ],
  positional: [{ name: 'value', type: 'string' }],
  compile(use) {
    const name = use.text(0).constant;
    if (name === undefined) {
      use.error('the include command requires a constant string for its value argument', use.at(0));
      return nothing;
    }
    if (!isScriptName(name)) {
      use.error(`include: invalid script name '${shown(name)}'`, use.at(0));
      return nothing;
    }
    const script: ScriptName = { location: use.has('global') ? 'global' : 'personal', name };
    const optional = use.has('optional');
    const once = use.has('once');
    use.compiler.includes.push({ ...script, optional });
    checkIncluded(use, script, optional);
    const { included } = use.compiler;
    return (run) => runIncluded(run, script, { optional, once }, included);
  },
};

function location(use: Use): 'none' | 'wrong' {
  if (!use.groups.has(group)) {
    use.groups.set(group, group);
    return 'none';
  }
  use.error("include: cannot use location tags ':personal' and ':global' multiple times");
  return 'wrong';
}

/** RFC 5804 section 1.6: no controls, no slash, and not empty. */
function isScriptName(name: string): boolean {
  return (
    name !== '' &&
    name.length <= 128 &&
    !/[\x00-\x1f\x7f-\x9f/\u2028\u2029]/.test(name) &&
    name.isWellFormed()
  );
}

/** Where sources are at hand, what is included is checked with the script. */
function checkIncluded(use: Use, script: ScriptName, optional: boolean): void {
  const { compiler } = use;
  const source = compiler.options.script?.(script);
  if (!compiler.options.script) return;
  if (source === undefined) {
    const message = `included ${script.location} script '${shown(script.name)}' does not exist`;
    if (optional) compiler.problems.warning(use.at(0), 'include-missing', message);
    else use.error(message, use.at(0));
    return;
  }
  const key = `${script.location} ${script.name}`;
  if (compiler.including.includes(key)) {
    use.error(`circular include of ${script.location} script '${shown(script.name)}'`, use.at(0));
    return;
  }
  if (compiler.including.length >= compiler.limits.includeDepthMax) {
    use.error(`cannot nest includes deeper than ${compiler.limits.includeDepthMax} levels`, use.at(0));
    return;
  }
  const { errors } = compiler.included(source, script, [...compiler.including, key]);
  if (errors.length === 0) return;
  use.failed = true;
  compiler.problems.adopt(script.name, errors);
}

function runIncluded(
  run: Run,
  name: ScriptName,
  how: { optional: boolean; once: boolean },
  included: Use['compiler']['included'],
): void {
  const key = `${name.location} ${name.name}`;
  const { includes } = run;
  if (how.once && includes.once.has(key)) return;
  const source = run.ask(`script ${key}`, () => run.environment.script?.(name));
  if (source === undefined) {
    if (how.optional) return;
    throw new Fault(`included ${name.location} script '${shown(name.name)}' does not exist`);
  }
  if (includes.stack.includes(key)) throw new Fault(`circular include of script '${shown(name.name)}'`);
  if (includes.stack.length >= run.limits.includeDepthMax)
    throw new Fault(`cannot nest includes deeper than ${run.limits.includeDepthMax} levels`);
  includes.count++;
  if (includes.count > run.limits.includesMax)
    throw new Fault(`failed to include script: no more than ${run.limits.includesMax} includes allowed`);
  const { program, errors } = included(source, name, undefined);
  if (!program)
    throw new Fault(
      `included script '${shown(name.name)}' has errors: line ${errors[0]!.line}: ${errors[0]!.message}`,
    );
  includes.once.add(key);
  includes.stack.push(key);
  const outer = run.frame;
  const { loops } = run;
  run.frame = { script: program as Script, variables: [], matchValues: undefined };
  const before = loops.splice(0);
  runBlock(run, (program as Script).steps);
  loops.splice(0, loops.length, ...before);
  run.frame = outer;
  includes.stack.pop();
  // RFC 6609 section 3.3: return ends the script it stands in, stop ends all.
  if (run.exit?.type === 'return') run.exit = undefined;
}

const returnCommand: ActionSpec = {
  name: 'return',
  kind: 'command',
  ends: true,
  compile: () => (run) => {
    run.exit = { type: 'return' };
  },
};

/** RFC 6609 section 3.4.1: names that this script shares with the others. */
const globalCommand: ActionSpec = {
  name: 'global',
  kind: 'command',
  positional: [{ name: 'variable names', type: 'string-list' }],
  compile: declareGlobal,
};

/** Of the drafts before RFC 6609; global does what both did. */
const older = (name: string): ActionSpec => ({
  ...globalCommand,
  name,
  compile(use) {
    if (use.compiler.mayImport) return declareGlobal(use);
    use.error(
      `the DEPRECATED ${name} command can only be placed at top level at the beginning of the file after any require or import/export commands`,
    );
    return nothing;
  },
});

function declareGlobal(use: Use): Step {
  const { compiler } = use;
  if (!compiler.uses('variables')) {
    use.error(`${use.spec.name} command requires that variables extension is active`);
    return nothing;
  }
  compiler.mark('variables');
  const [argument] = use.positional;
  const items = argument?.type === 'list' ? argument.items : argument?.type === 'string' ? [argument] : [];
  for (const item of items) {
    const lower = item.text.toLowerCase();
    if (!/^[a-z_][a-z0-9_]*$/.test(lower) || lower.length > compiler.limits.variableNameCharsMax)
      use.error(`invalid variable identifier '${shown(item.text)}'`, item.at);
    else if (compiler.variables.has(lower))
      use.error(
        `declaration of new global variable '${shown(item.text)}' conflicts with a local variable`,
        item.at,
      );
    else compiler.globals.add(lower);
  }
  return nothing;
}

export const include: Extension = {
  name: 'include',
  specs: [includeCommand, returnCommand, globalCommand, older('import'), older('export')],
  namespaces: {
    // RFC 6609 section 3.4.2: ${global.name} needs no declaration.
    global: (_compiler, names) => (names.length === 1 ? globalVariable(names[0]!) : undefined),
  },
};
