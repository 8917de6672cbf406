/**
 * Says whether a backtracking engine runs a pattern in time linear in the text, or whether that cannot be shown.
 *
 * The proof it looks for has two halves. Within one attempt: when a loop may go on, the next character cannot also begin
 * what follows the loop, so a loop has one way to match and giving characters back fails at once; choices outside loops
 * may be ambiguous, but their ways are counted. Over all attempts of a search: no loop can eat a character that begins an
 * attempt, so only as many attempts cover one character as the pattern has characters outside loops that could begin it.
 * The product of both is the steps per character of text, and has a limit. What is not shown here is not thereby slow.
 */
import { patternLimits } from '../base/limits/rules.ts';
import {
  type CharSet,
  complement,
  everyChar,
  foldAscii,
  foldGenerously,
  intersects,
  lineTerminators,
  noChar,
  union,
} from './char-set.ts';
import type { PatternFlags, PatternNode } from './pattern-parse.ts';

export interface PatternJudgement {
  /** True when RegExp may run it. */
  readonly linear: boolean;
  /** True when it can match at the start of the text only. */
  readonly anchored: boolean;
  /** Characters and assertions once counted repeats are written out; capped just above its limit. */
  readonly size: number;
  /** Lookahead or lookbehind occurs, which the linear engine lacks. */
  readonly looks: boolean;
}

export function judgePattern(node: PatternNode, flags: PatternFlags): PatternJudgement {
  const start = startOf(node);
  return {
    linear: isLinear(node, flags, start),
    anchored: start && !flags.multiline,
    size: sizeOf(node),
    looks: contains(node, (inner) => inner.type === 'look'),
  };
}

function isLinear(node: PatternNode, flags: PatternFlags, startAnchored: boolean): boolean {
  const judge = new Judge(flags);
  const cost = judge.cost(node, noChar, false);
  if (!cost || cost.steps > patternLimits.stepsPerCharacterMax) return false;
  // One attempt, or attempts that never eat further than they are written: what one attempt costs is the whole story.
  if (judge.eatenInLoops.length === 0 || (startAnchored && !flags.multiline)) return true;
  const begins = startAnchored ? lineTerminators : judge.first(node);
  if (intersects(judge.eatenInLoops, begins)) return false;
  const covering = judge.placesFor(node, begins) + (startAnchored ? 1 : 0);
  return Math.max(1, covering) * cost.steps <= patternLimits.stepsPerCharacterMax;
}

/** Ways a node may match from one place, and steps to try them all; a loop counts its steps per character eaten. */
interface Cost {
  readonly ways: number;
  readonly steps: number;
}

class Judge {
  readonly #flags: PatternFlags;
  /** Every character that some unbounded loop may eat. */
  eatenInLoops: CharSet = noChar;

  constructor(flags: PatternFlags) {
    this.#flags = flags;
  }

  /** At least all characters that a set may match. */
  chars(node: Extract<PatternNode, { type: 'set' }>): CharSet {
    if (node.properties.length > 0) return everyChar;
    const { ignoreCase } = this.#flags;
    if (node.negated) {
      const rest = complement(ignoreCase ? foldAscii(node.ranges) : node.ranges);
      return ignoreCase ? foldGenerously(rest) : rest;
    }
    return ignoreCase ? foldGenerously(node.ranges) : node.ranges;
  }

  /** Characters a match of the node may begin with; assertions are looked through. */
  first(node: PatternNode): CharSet {
    switch (node.type) {
      case 'set':
        return this.chars(node);
      case 'sequence': {
        const sets: CharSet[] = [];
        for (const item of node.items) {
          sets.push(this.first(item));
          if (!isNullable(item)) break;
        }
        return union(...sets);
      }
      case 'choice':
        return union(...node.branches.map((branch) => this.first(branch)));
      case 'repeat':
        return node.max === 0 ? noChar : this.first(node.body);
      case 'group':
        return this.first(node.body);
      case 'assert':
      case 'look':
        return noChar;
    }
  }

  /** `follow`: what may come after the node. Undefined when linear time cannot be shown. */
  cost(node: PatternNode, follow: CharSet, inLoop: boolean): Cost | undefined {
    switch (node.type) {
      case 'set':
      case 'assert':
        return { ways: 1, steps: 1 };
      case 'sequence':
        return this.#sequenceCost(node.items, follow, inLoop);
      case 'choice':
        return this.#choiceCost(node.branches, follow, inLoop);
      case 'repeat':
        return Number.isFinite(node.max)
          ? this.#countedCost(node.body, node.min, node.max, follow, inLoop)
          : this.#loopCost(node.body, node.min, follow);
      case 'group':
        return this.cost(node.body, follow, inLoop);
      case 'look':
        return this.#lookCost(node.body);
    }
  }

  #sequenceCost(items: readonly PatternNode[], follow: CharSet, inLoop: boolean): Cost | undefined {
    let after = follow;
    let whole: Cost = { ways: 1, steps: 0 };
    for (const item of items.toReversed()) {
      const cost = this.cost(item, after, inLoop);
      if (!cost) return undefined;
      whole = within({ ways: cost.ways * whole.ways, steps: cost.steps + cost.ways * whole.steps });
      if (whole.steps === Number.POSITIVE_INFINITY) return undefined;
      after = isNullable(item) ? union(this.first(item), after) : this.first(item);
    }
    return whole;
  }

  #choiceCost(branches: readonly PatternNode[], follow: CharSet, inLoop: boolean): Cost | undefined {
    let ways = 0;
    let most = 0;
    let steps = 0;
    let seen: CharSet = noChar;
    let ambiguous = branches.filter(isNullable).length > 1;
    for (const branch of branches) {
      const cost = this.cost(branch, follow, inLoop);
      if (!cost) return undefined;
      ways += cost.ways;
      most = Math.max(most, cost.ways);
      steps += cost.steps;
      const begins = isNullable(branch) ? union(this.first(branch), follow) : this.first(branch);
      ambiguous ||= intersects(begins, seen);
      seen = union(seen, begins);
    }
    if (ambiguous && inLoop) return undefined;
    return within({ ways: ambiguous ? ways : most, steps: steps + branches.length });
  }

  #loopCost(body: PatternNode, min: number, follow: CharSet): Cost | undefined {
    if (isNullable(body)) return undefined;
    const again = this.first(body);
    if (intersects(again, follow)) return undefined;
    const cost = this.cost(body, union(again, follow), true);
    if (cost?.ways !== 1) return undefined;
    this.eatenInLoops = union(this.eatenInLoops, this.#everyCharOf(body));
    return within({ ways: 1, steps: cost.steps * Math.max(1, min) + 1 });
  }

  #countedCost(
    body: PatternNode,
    min: number,
    max: number,
    follow: CharSet,
    inLoop: boolean,
  ): Cost | undefined {
    const again = this.first(body);
    const optional = max > min;
    const ambiguous = isNullable(body) || (optional && intersects(again, follow));
    if (ambiguous && inLoop) return undefined;
    const cost = this.cost(body, max > 1 ? union(again, follow) : follow, inLoop);
    if (!cost) return undefined;
    // x{2,4} is x x (x (x)?)?: from the inside out, each optional copy adds the way of leaving it out.
    let whole: Cost = { ways: 1, steps: 0 };
    for (let copy = max; copy > 0; copy -= 1) {
      const leaveOut = copy > min && ambiguous ? 1 : 0;
      whole = within({
        ways: cost.ways * whole.ways + leaveOut,
        steps: cost.steps + cost.ways * whole.steps + leaveOut,
      });
      if (whole.steps === Number.POSITIVE_INFINITY) return undefined;
    }
    return { ways: whole.ways, steps: whole.steps + 1 };
  }

  /** A look is tried as a whole and never entered again, so it has one way; it must be of bounded length. */
  #lookCost(body: PatternNode): Cost | undefined {
    if (contains(body, (inner) => inner.type === 'repeat' && !Number.isFinite(inner.max))) return undefined;
    const cost = this.cost(body, noChar, false);
    return cost && { ways: 1, steps: cost.steps + 1 };
  }

  #everyCharOf(node: PatternNode): CharSet {
    if (node.type === 'set') return this.chars(node);
    return union(...childrenOf(node).map((child) => this.#everyCharOf(child)));
  }

  /** Characters outside loops, counted repeats written out, that may be one of `begins`. */
  placesFor(node: PatternNode, begins: CharSet): number {
    if (node.type === 'set') return intersects(this.chars(node), begins) ? 1 : 0;
    if (node.type === 'look') return 0;
    if (node.type === 'repeat') {
      const copies = Number.isFinite(node.max) ? node.max : 0;
      return copies * this.placesFor(node.body, begins);
    }
    return childrenOf(node).reduce((sum, child) => sum + this.placesFor(child, begins), 0);
  }
}

/** Past the limit the exact number does not matter any more; infinity keeps it from overflowing into NaN. */
function within(cost: Cost): Cost {
  return cost.steps > patternLimits.stepsPerCharacterMax || cost.ways > patternLimits.stepsPerCharacterMax
    ? { ways: cost.ways, steps: Number.POSITIVE_INFINITY }
    : cost;
}

function isNullable(node: PatternNode): boolean {
  switch (node.type) {
    case 'set':
      return false;
    case 'sequence':
      return node.items.every(isNullable);
    case 'choice':
      return node.branches.some(isNullable);
    case 'repeat':
      return node.min === 0 || isNullable(node.body);
    case 'group':
      return isNullable(node.body);
    case 'assert':
    case 'look':
      return true;
  }
}

/** True when every match begins with `^`. */
function startOf(node: PatternNode): boolean {
  switch (node.type) {
    case 'assert':
      return node.at === 'start';
    case 'sequence':
      return node.items.length > 0 && startOf(node.items[0]!);
    case 'choice':
      return node.branches.every(startOf);
    case 'group':
      return startOf(node.body);
    default:
      return false;
  }
}

function sizeOf(node: PatternNode): number {
  const cap = patternLimits.sizeMax + 1;
  if (node.type === 'set' || node.type === 'assert') return 1;
  const inner = childrenOf(node).reduce((sum, child) => Math.min(cap, sum + sizeOf(child)), 1);
  if (node.type !== 'repeat') return inner;
  const copies = Number.isFinite(node.max) ? node.max : node.min + 1;
  return Math.min(cap, inner * Math.max(1, copies));
}

function childrenOf(node: PatternNode): readonly PatternNode[] {
  switch (node.type) {
    case 'set':
    case 'assert':
      return [];
    case 'sequence':
      return node.items;
    case 'choice':
      return node.branches;
    default:
      return [node.body];
  }
}

function contains(node: PatternNode, test: (node: PatternNode) => boolean): boolean {
  return test(node) || childrenOf(node).some((child) => contains(child, test));
}
