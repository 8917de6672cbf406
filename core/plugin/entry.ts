/** One plugin in a pipeline, as the config names it. */
import type { Json } from '../base/json.ts';

/** What becomes of the transaction when the plugin failed. */
export type FailurePolicy = 'tempfail' | 'continue' | 'quarantine' | 'reject';

export interface PipelineEntry {
  /** Bundled name (`dnsbl`), or a path that begins with `.` or `/`, resolved to absolute. */
  readonly plugin: string;
  /** Not yet checked against the plugin's schema. */
  readonly options: Readonly<Record<string, Json>>;
  readonly onFailure: FailurePolicy;
  readonly timeoutSeconds: number;
  /** Runs, is traced and counted, changes nothing. */
  readonly shadow: boolean;
}
