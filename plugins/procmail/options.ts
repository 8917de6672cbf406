/** The options of the plugin, as its hooks see them. */
import type { SitePrograms } from '../../rules/site-programs.ts';

export interface ProcmailOptions {
  readonly programs?: string;
  readonly programTimeoutSeconds: number;
  readonly redirectsMax: number;
  readonly duplicateDays: number;
  readonly trace: boolean;
}

export interface Prepared {
  readonly programs: SitePrograms;
}
