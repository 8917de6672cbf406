/** What became of each recipe of an rcfile that was converted. */

export interface RecipeReport {
  readonly file: string;
  readonly line: number;
  readonly converted: boolean;
  /** Why it was kept as a comment. */
  readonly reason?: string;
  /** Where the two could still part. */
  readonly notes: readonly string[];
}

/** An assignment that no script can make. */
export interface SettingReport {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly reason: string;
}

export interface Conversion {
  /** A Sieve script, LF line ends. */
  readonly script: string;
  /** In order of lines, those of included files where they are included. */
  readonly recipes: readonly RecipeReport[];
  readonly settings: readonly SettingReport[];
}
