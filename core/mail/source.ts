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
