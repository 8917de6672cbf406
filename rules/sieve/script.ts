/** A compiled script: its steps, and what the outside may know of it. */
import type { Program } from './program.ts';
import type { Step } from './spec.ts';

export class Script implements Program {
  readonly name: string;
  readonly requires: readonly string[];
  readonly includes: Program['includes'];
  readonly needsBody: boolean;
  readonly steps: readonly Step[];

  constructor(facts: Program, steps: readonly Step[]) {
    this.name = facts.name;
    this.requires = facts.requires;
    this.includes = facts.includes;
    this.needsBody = facts.needsBody;
    this.steps = steps;
  }
}
