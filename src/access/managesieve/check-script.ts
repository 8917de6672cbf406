/** What the server says of a script before it takes it: all errors and warnings, the same that `mailfilter sieve check` prints. RFC 5804 section 2.12. */
import { compileSieve, formatProblem } from '../../../rules/sieve/index.ts';
import type { ScriptRules } from './script-rules.ts';
import type { Response } from './write.ts';

/** @param name of the script in the words for its author; @param folders of the user, for warnings */
export function checkScript(
  name: string,
  source: Uint8Array,
  folders: readonly string[],
  { extensions, redirectsMax }: ScriptRules,
): Response {
  const limits = { redirectsMax };
  const { errors, warnings } = compileSieve(source, { name, folders, extensions, limits });
  const lines = (problems: typeof warnings) =>
    problems.map((problem) => formatProblem(problem, name)).join('\r\n');
  if (errors.length > 0) return { status: 'NO', text: lines(errors) };
  if (warnings.length > 0) return { status: 'OK', code: 'WARNINGS', text: lines(warnings) };
  return { status: 'OK' };
}
