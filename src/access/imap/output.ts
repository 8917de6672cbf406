/** What goes to one client: gathered into large chunks, and held back while the client does not read. */
import { imapLimits } from '../../../core/base/limits/access.ts';
import type { Wire } from '../wire.ts';

export class Output {
  readonly #wire: Wire;
  /** Octets as Latin-1, behind those of the chunk. */
  #text = '';
  /** Only while an answer is being written: who is idle holds none. */
  #chunk: Buffer | undefined;
  #used = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** @param octets Latin-1 */
  write(octets: string): void {
    this.#text += octets;
    if (this.#used + this.#text.length >= imapLimits.writeOctets) this.flush();
  }

  octets(octets: Uint8Array): void {
    if (this.#used + this.#text.length + octets.length > imapLimits.writeOctets) {
      this.flush();
      if (octets.length >= imapLimits.gatheredLiteralOctets) {
        this.#wire.write(octets);
        return;
      }
    }
    this.#gather();
    this.#chunk!.set(octets, this.#used);
    this.#used += octets.length;
  }

  flush(): void {
    if (this.#used > 0) {
      this.#wire.write(this.#chunk!.subarray(0, this.#used));
      this.#chunk = undefined;
      this.#used = 0;
    }
    if (this.#text === '') return;
    const text = Buffer.from(this.#text, 'latin1');
    this.#text = '';
    this.#wire.write(text);
  }

  /** Resolves when the client has taken enough: to be awaited in every loop over messages. @throws ConnectionEnded */
  drained(): Promise<void> | undefined {
    return this.#wire.mustDrain ? this.#wire.drained() : undefined;
  }

  #gather(): void {
    this.#chunk ??= Buffer.allocUnsafeSlow(imapLimits.writeOctets);
    if (this.#text !== '') this.#used += this.#chunk.write(this.#text, this.#used, 'latin1');
    this.#text = '';
  }
}
