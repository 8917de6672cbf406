/** The macros that Sendmail and Postfix define, for the milters that look at them. */
import type { Connection, HookInput, Session } from 'mailfilter/plugin';

type Macros = ReadonlyMap<string, string>;

export function connectMacros(connection: Connection, hostname: string): Macros {
  const { localIp, localPort, listener } = connection;
  return defined({
    j: hostname,
    v: 'mailfilter',
    _: `${clientName(connection)} [${connection.remoteIp}]`,
    '{daemon_name}': listener,
    '{daemon_addr}': localIp,
    '{daemon_port}': localPort > 0 ? String(localPort) : '',
    '{if_name}': hostname,
    '{if_addr}': localIp,
    '{client_addr}': connection.remoteIp,
    '{client_name}': clientName(connection),
    '{client_ptr}': clientName(connection),
    '{client_port}': connection.remotePort > 0 ? String(connection.remotePort) : '',
  });
}

export function heloMacros({ tls }: Session): Macros {
  return defined({
    '{tls_version}': tls?.protocol ?? '',
    '{cipher}': tls?.cipher ?? '',
    '{cert_subject}': tls?.clientSubject ?? '',
    '{verify}': tls ? (tls.clientSubject ? 'OK' : 'NO') : '',
  });
}

export function mailMacros(id: string, { session }: HookInput, sender: string): Macros {
  return defined({
    i: id,
    '{auth_type}': session.authMethod ?? '',
    '{auth_authen}': session.user ?? '',
    '{mail_mailer}': 'esmtp',
    '{mail_host}': domainOf(sender),
    '{mail_addr}': sender,
  });
}

export function rcptMacros(id: string, recipient: string): Macros {
  return defined({
    i: id,
    '{rcpt_mailer}': 'esmtp',
    '{rcpt_host}': domainOf(recipient),
    '{rcpt_addr}': recipient,
  });
}

/** As Sendmail and Postfix tell of a recipient that they refuse: the mailer `error`, its status and its words. */
export function refusedRcptMacros(id: string): Macros {
  return defined({
    i: id,
    '{rcpt_mailer}': 'error',
    '{rcpt_host}': '5.1.1',
    '{rcpt_addr}': '550 5.1.1 recipient refused',
  });
}

export function ofTransaction(id: string): Macros {
  return new Map([['i', id]]);
}

/** Verified name, or the address as Sendmail writes it where there is none. */
export function clientName({ remoteName, remoteIp }: Connection): string {
  return remoteName !== '' ? remoteName : remoteIp === '' ? 'localhost' : `[${remoteIp}]`;
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

function defined(macros: Readonly<Record<string, string>>): Macros {
  return new Map(Object.entries(macros).filter(([, value]) => value !== ''));
}
