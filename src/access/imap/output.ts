/** What goes to one client: gathered into large chunks, and held back while the client does not read. */
import { imapLimits } from '../../../core/base/limits/access.ts';
import type { Wire } from '../wire.ts';

export class Output {
  readonly #wire: Wire;
  /** Octets as Latin-1. */
  #gathered = '';

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** @param octets Latin-1 */
  write(octets: string): void {
    this.#gathered += octets;
    if (this.#gathered.length >= imapLimits.writeOctets) this.flush();
  }

  octets(octets: Uint8Array): void {
    this.flush();
    this.#wire.write(octets);
  }

  flush(): void {
    if (this.#gathered === '') return;
    const chunk = Buffer.from(this.#gathered, 'latin1');
    this.#gathered = '';
    this.#wire.write(chunk);
  }

  /** Resolves when the client has taken enough: to be awaited in every loop over messages. @throws ConnectionEnded */
  drained(): Promise<void> {
    return this.#wire.drained();
  }
}
