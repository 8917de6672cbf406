/** What the server can do, as greeting, CAPABILITY and the end of STARTTLS tell it. RFC 5804 section 1.7. */
import { scriptRulesOf } from './script-rules.ts';
import type { Session } from './session.ts';
import { formatString } from './write.ts';

/** Lines without the OK after them. */
export function capabilities({ wire, house, listener, login, owner }: Session): string {
  const startTls = listener.tls === 'starttls' && wire.tls === undefined && house.tls !== undefined;
  const { extensions, redirectsMax } = scriptRulesOf(house.config());
  const lines: (readonly [name: string, value?: string])[] = [
    ['IMPLEMENTATION', 'mailfilter'],
    ['SIEVE', extensions.join(' ')],
    ['SASL', owner === undefined ? login.mechanisms.join(' ') : ''],
    ['NOTIFY', 'mailto'],
    ['MAXREDIRECTS', `${redirectsMax}`],
    ['UNAUTHENTICATE'],
    ['VERSION', '1.0'],
    ...(startTls ? ([['STARTTLS']] as const) : []),
    ...(owner === undefined ? [] : ([['OWNER', owner.user.address]] as const)),
  ];
  return lines
    .map(
      ([name, value]) => `${formatString(name)}${value === undefined ? '' : ` ${formatString(value)}`}\r\n`,
    )
    .join('');
}
