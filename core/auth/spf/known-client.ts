/** Is the host known that brought the message to this site? SPF asks about no other. RFC 7208 section 2.1. */

/**
 * False without an address, and behind another MTA that shows itself instead of its client: a filter or LMTP server on
 * the same host sees 127.0.0.1 unless the MTA says more (XFORWARD, XCLIENT).
 */
export function isClientKnown({
  door,
  remoteIp,
}: {
  readonly door: string;
  readonly remoteIp: string;
}): boolean {
  if (remoteIp === '') return false;
  return door === 'smtp' || !(remoteIp === '::1' || remoteIp.startsWith('127.'));
}
