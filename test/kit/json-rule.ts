/** A JSON rule in short, for tests of the rule language and of the plugins that run it. */

export interface JsonRule {
  readonly name?: string;
  readonly when?: unknown;
  readonly then: readonly unknown[];
}

/** @param when undefined for a rule that always applies */
export function rule(when: unknown, ...actions: unknown[]): JsonRule {
  return { ...(when !== undefined && { when }), then: actions };
}
