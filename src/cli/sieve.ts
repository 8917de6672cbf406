/** `mailfilter sieve`: tools for the authors of Sieve scripts. */
import type { Command } from 'commander';
import { defineCheck } from './sieve-check.ts';
import { defineRun } from './sieve-run.ts';
import { defineTest } from './sieve-test.ts';

export function define(command: Command): void {
  defineCheck(command);
  defineRun(command);
  defineTest(command);
}
