/** What a reader of archives tells of one, whatever its format. */

/** A file in an archive. */
export interface Entry {
  readonly name: string;
  readonly encrypted: boolean;
  /** Octets it would have, as the archive says; undefined where it does not. */
  readonly size: number | undefined;
  /** Octets it takes in the archive. */
  readonly packedSize: number;
  /**
   * Its octets, up to so many; undefined where the format, or encryption, keeps us from reading it.
   * @throws where the archive is broken
   */
  readonly read?: (octetsMax: number) => Promise<Buffer>;
}

export interface Listing {
  readonly entries: readonly Entry[];
  /** Not all that is in it could be listed: encrypted, broken, or too many. */
  readonly incomplete: boolean;
  /** Not even the names can be read without a password. */
  readonly encrypted: boolean;
  /** So many that are not among the entries: they cost time too. */
  readonly folders?: number;
}

export const unreadable: Listing = { entries: [], incomplete: true, encrypted: false };
