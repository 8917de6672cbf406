/** Where a user's mailbox lies: the configured template filled with parts of the address, which must not escape their folder. */
import { OperationalError } from '../../core/base/errors.ts';

/**
 * @param template absolute path with `{domain}`, `{user}` (local part) and `{address}`
 * @param address canonical `local@domain`
 * @throws OperationalError `mailbox-path` (permanent) when a part of the address cannot be part of a path
 */
export function mailboxPath(template: string, address: string): string {
  const at = address.lastIndexOf('@');
  const parts: Record<string, string> = {
    user: address.slice(0, at),
    domain: address.slice(at + 1),
    address,
  };
  return template.replace(/\{(user|domain|address)\}/g, (_, name: string) => pathPart(parts[name]!));
}

/** Case is folded so that one user has one mailbox on every file system. */
function pathPart(text: string): string {
  const folded = text.toLowerCase();
  if (folded === '' || folded.startsWith('.') || /[/\0]/.test(folded)) {
    throw new OperationalError('mailbox-path', `"${text}" cannot be part of a mailbox path`, {
      temporary: false,
    });
  }
  return folded;
}
