/** A rule that cannot be used, and where it stands. */
import { OperationalError } from '../../core/base/errors.ts';

export class RuleError extends OperationalError {
  /** @param where such as `rule 3 (no macros): when` */
  constructor(where: string, problem: string) {
    super('bad-rule', `${where}: ${problem}`, { temporary: false, facts: { where, problem } });
    this.name = 'RuleError';
  }
}
