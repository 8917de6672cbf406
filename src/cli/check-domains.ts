/** Whether mail for each domain of a config can arrive: a route delivers it, and postmaster has a mailbox. RFC 5321 section 4.5.1. */
import type { Config } from '../../core/config/config.ts';
import { createRouter } from '../router/routes.ts';
import { canonicalAddress } from '../users/format.ts';
import type { User } from '../users/users.ts';
import type { Finding } from './check.ts';

export function checkDomains(config: Config, users: readonly User[]): Finding[] {
  const addresses = new Set(users.flatMap(({ address, aliases }) => [address, ...aliases]));
  // Who an alias of a table belongs to is known to the plugin alone.
  const rewritten = Object.values(config.pipelines).some((entries) =>
    entries.some(({ plugin }) => plugin === 'aliases'),
  );
  const router = createRouter(config.routes);
  const warning = (what: string): Finding => ({
    severity: 'warning',
    area: 'domain',
    where: config.file,
    what,
  });
  return config.domains.flatMap((domain) => {
    const postmaster = canonicalAddress(`postmaster@${domain}`);
    const route = router({ recipient: postmaster, sender: '', authenticated: false });
    if (route.kind === 'reject') return [warning(`no route takes mail for ${domain} from other hosts`)];
    if (route.kind !== 'mailbox' || rewritten || addresses.has(postmaster)) return [];
    return [
      warning(
        `${postmaster} reaches nobody (RFC 5321 section 4.5.1): add it to the "aliases" of a user in ${config.users?.file}`,
      ),
    ];
  });
}
