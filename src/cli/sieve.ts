/** `mailfilter sieve`: tools for the authors of Sieve scripts. */
import type { Command } from 'commander';
import { defineApply } from './sieve-apply.ts';
import { defineCheck } from './sieve-check.ts';
import { defineRun } from './sieve-run.ts';
import { defineTest } from './sieve-test.ts';
import { defineTrial } from './sieve-trial.ts';

export function define(command: Command): void {
  defineCheck(command);
  defineRun(command);
  defineTest(command);
  defineTrial(command);
  defineApply(command);
}
