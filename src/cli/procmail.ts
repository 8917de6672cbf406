/** `mailfilter procmail`: tools for the authors of rcfiles. */
import type { Command } from 'commander';
import { defineCheck } from './procmail-check.ts';
import { defineConvert } from './procmail-convert.ts';
import { defineRun } from './procmail-run.ts';

export function define(command: Command): void {
  defineCheck(command);
  defineRun(command);
  defineConvert(command);
}
