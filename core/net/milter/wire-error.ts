/** What came over the wire is no milter protocol: the connection has to be closed. */
import { OperationalError } from '../../base/errors.ts';

export class MilterWireError extends OperationalError {
  constructor(message: string) {
    super('milter-wire', message, { temporary: true });
    this.name = 'MilterWireError';
  }
}
