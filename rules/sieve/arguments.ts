/** Arguments against what a command takes: tags with their parameters, then positional ones. RFC 5228 section 2.6. */
import type { Argument } from './parser.ts';
import type { Positional, TagSpec, ValueType } from './spec.ts';
import type { Use } from './use.ts';

const articles: Readonly<Record<Argument['type'] | ValueType, string>> = {
  string: 'a string',
  list: 'a string list',
  'string-list': 'a string list',
  number: 'a number',
  tag: 'a tag',
};

/** Fills the use's tags and positional arguments; false where something is wrong, which has been reported. */
export function bindArguments(use: Use): boolean {
  const positional: Argument[] = [];
  const args = use.node.arguments;
  let late: Extract<Argument, { type: 'tag' }> | undefined;
  let right = true;
  for (let at = 0; at < args.length; at++) {
    const argument = args[at]!;
    if (argument.type !== 'tag') {
      positional.push(argument);
      continue;
    }
    const tag = use.compiler.tag(use.spec, argument.name);
    if (!tag) {
      use.compiler.problems.errorOnce(
        `tag ${argument.name} ${use.spec.name}`,
        argument.at,
        `unknown tagged argument ':${argument.name}' for the ${use.title} (reported only once at first occurrence)`,
      );
      use.failed = true;
      return false;
    }
    if (positional.length > 0) {
      late ??= argument;
      continue;
    }
    const taken = bindTag(use, tag, argument, args[at + 1]);
    if (taken === undefined) right = false;
    else if (taken) at++;
    if (!right) return false;
  }
  if (late) {
    use.error(
      `encountered an unexpected tagged argument ':${late.name}' while validating positional arguments for the ${use.title}`,
      late.at,
    );
    return false;
  }
  return bindPositional(use, positional);
}

/** True when the tag took the next argument, undefined when it is wrong. */
function bindTag(
  use: Use,
  tag: TagSpec,
  at: Extract<Argument, { type: 'tag' }>,
  next: Argument | undefined,
): boolean | undefined {
  const twice = use.tags.has(tag.name) || (tag.group !== undefined && use.groups.has(tag.group));
  if (twice) {
    const group =
      tag.group !== undefined && /^[A-Z-]+$/.test(tag.group)
        ? `${tag.group} argument (:${tag.name})`
        : `:${tag.name} argument`;
    use.error(
      tag.group?.startsWith('exactly ')
        ? `exactly one of the ${tag.group.slice(8)} tags must be specified for the ${use.title}, but more were found`
        : `encountered duplicate ${group} for the ${use.title}`,
      at.at,
    );
    return undefined;
  }
  if (tag.group !== undefined) use.groups.set(tag.group, tag.name);
  if (tag.read) {
    const read = tag.read(use, next);
    if (read === 'wrong') return undefined;
    use.tags.set(tag.name, read === 'taken' ? next : undefined);
    return read === 'taken';
  }
  if (!tag.parameter) {
    use.tags.set(tag.name, undefined);
    return false;
  }
  if (!next || !fits(next, tag.parameter)) {
    const found = next ? `${articles[next.type]} was found` : 'no parameters were found';
    const needs = `the :${tag.name} tag for the ${use.title} requires ${articles[tag.parameter]} as parameter, but ${found}`;
    // A tag that nobody knows is the better explanation.
    const unknown = next?.type === 'tag' && !use.compiler.tag(use.spec, next.name);
    if (unknown) {
      use.compiler.problems.errorOnce(
        `tag ${next.name} ${use.spec.name}`,
        next.at,
        `unknown tagged argument ':${next.name}' for the ${use.title} (reported only once at first occurrence)`,
      );
      use.failed = true;
    } else {
      use.error(needs, next?.at ?? at.at);
    }
    return undefined;
  }
  use.tags.set(tag.name, next);
  return true;
}

function bindPositional(use: Use, found: readonly Argument[]): boolean {
  const wanted = use.spec.positional ?? [];
  const optional = use.spec.optional ?? 0;
  const optionalLast = use.spec.optionalLast ?? 0;
  if (found.length > wanted.length || found.length < wanted.length - optional - optionalLast) {
    use.error(
      optionalLast > 0 && found.length === 0
        ? `the ${use.title} expects at least one positional argument, but none was found`
        : optional > 0 && found.length === 0
          ? `the ${use.title} expects at least one argument, but none was found`
          : `the ${use.title} requires ${wanted.length} positional argument(s), but ${found.length} is/are specified`,
    );
    return false;
  }
  // Left out from the front: `setflag ["variable"] "flags"`.
  const left = Math.min(wanted.length - found.length, optional);
  for (const [index, argument] of found.entries()) {
    const expected = wanted[index + left]!;
    if (fits(argument, expected.type)) continue;
    wrongType(use, index + 1, expected, argument);
    return false;
  }
  const missing = wanted.length - left - found.length;
  const absent = (length: number) => Array.from({ length }, () => undefined);
  use.positional = [...absent(left), ...found, ...absent(missing)];
  return true;
}

function wrongType(use: Use, nth: number, expected: Positional, found: Argument): void {
  use.error(
    `the ${use.title} expects ${articles[expected.type]} as argument ${nth} (${expected.name}), but ${articles[found.type]} was found`,
    found.at,
  );
}

/** A string fits where a list is expected. */
function fits(argument: Argument, type: ValueType): boolean {
  if (type === 'string-list') return argument.type === 'string' || argument.type === 'list';
  return argument.type === type;
}
