/** Types of the package fs-native-extensions, as far as locks on mailboxes and the data directory need them. */
declare module 'fs-native-extensions' {
  /** Open file description lock (fcntl F_OFD_SETLK): conflicts with the POSIX locks of other programs. */
  export function tryLock(
    fd: number,
    offset?: number,
    length?: number,
    options?: { shared?: boolean },
  ): boolean;
  export function unlock(fd: number, offset?: number, length?: number): void;
}
