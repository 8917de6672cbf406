/** The options of the plugin, as its hooks see them. */

export interface SieveOptions {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly default?: string;
  readonly global?: string;
  readonly folderSeparator: string;
  readonly subaddressSeparator: string;
  readonly redirectsMax: number;
  readonly vacationMinDays: number;
  readonly vacationMaxDays: number;
  readonly vacationDefaultDays: number;
  readonly spamScoreMax: number;
  readonly programs?: string;
  readonly programTimeoutSeconds: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly reportFrom?: string;
  readonly trace: boolean;
}
