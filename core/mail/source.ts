/**
 * Where the immutable bytes of a message lie. A plain value that crosses threads by structured clone: shared memory is
 * seen by every thread without a copy. Line ends are CRLF (BINARYMIME excepted), dot-stuffing is undone.
 */
export type MessageSource =
  | {
      readonly kind: 'memory';
      readonly buffer: SharedArrayBuffer;
      readonly offset: number;
      /** Octets of the message. */
      readonly length: number;
    }
  | {
      readonly kind: 'file';
      /** Absolute path of the spool file. */
      readonly path: string;
      /** Octets of the message. */
      readonly length: number;
    };

export type MemorySource = Extract<MessageSource, { kind: 'memory' }>;

/** These octets, copied into shared memory of their own. */
export function memorySource(octets: Uint8Array): MemorySource {
  const buffer = new SharedArrayBuffer(octets.length);
  new Uint8Array(buffer).set(octets);
  return { kind: 'memory', buffer, offset: 0, length: octets.length };
}
