/** What to add to the files of an MTA so that it works with us: the exact lines, by file. */

/** Of one file, or of one place in it. */
export interface MtaLines {
  readonly mta: 'Postfix' | 'Exim' | 'Sendmail' | 'OpenSMTPD';
  readonly file: string;
  /** Where in the file, where that matters. */
  readonly where?: string;
  readonly lines: readonly string[];
}

export interface FilterPorts {
  /** Where we listen. */
  readonly filterPort: number;
  /** Where the MTA takes mail back. */
  readonly nextPort: number;
}

/** Postfix: FILTER_README, advanced content filter. */
export function contentFilterLines({ filterPort, nextPort }: FilterPorts): MtaLines[] {
  return [
    {
      mta: 'Postfix',
      file: 'main.cf',
      lines: [
        `content_filter = mailfilter:[127.0.0.1]:${filterPort}`,
        // Aliases are expanded once, behind the filter.
        'receive_override_options = no_address_mappings',
      ],
    },
    {
      mta: 'Postfix',
      file: 'master.cf',
      lines: [
        'mailfilter unix - - n - 10 smtp',
        '  -o smtp_send_xforward_command=yes',
        '  -o smtp_tls_security_level=none',
        '  -o disable_mime_output_conversion=yes',
        ...postfixReturn(nextPort),
      ],
    },
    {
      mta: 'Exim',
      file: 'exim4.conf',
      where: 'main section; keep the ports that are there',
      lines: [`local_interfaces = <; 0.0.0.0 ; 127.0.0.1.${nextPort}`],
    },
    {
      mta: 'Exim',
      file: 'exim4.conf',
      where: 'the first router',
      lines: [
        'mailfilter:',
        '  driver = manualroute',
        `  condition = \${if !eq{$received_port}{${nextPort}}}`,
        '  transport = mailfilter',
        '  route_list = * 127.0.0.1 byname',
        '  self = send',
        '  no_verify',
      ],
    },
    {
      mta: 'Exim',
      file: 'exim4.conf',
      where: 'transports',
      lines: [
        'mailfilter:',
        '  driver = smtp',
        `  port = ${filterPort}`,
        '  allow_localhost',
        '  hosts_avoid_tls = *',
      ],
    },
  ];
}

/** Postfix: SMTPD_PROXY_README. */
export function proxyFilterLines({ filterPort, nextPort }: FilterPorts): MtaLines[] {
  return [
    {
      mta: 'Postfix',
      file: 'master.cf',
      where: 'in place of the line for smtpd on port 25',
      lines: [
        'smtp inet n - n - 20 smtpd',
        `  -o smtpd_proxy_filter=127.0.0.1:${filterPort}`,
        '  -o smtpd_client_connection_count_limit=10',
        '  -o smtpd_proxy_options=speed_adjust',
        ...postfixReturn(nextPort),
      ],
    },
  ];
}

/** Mail comes back once, from this host alone, and is asked nothing again. */
function postfixReturn(port: number): string[] {
  return [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    '  -o content_filter=',
    '  -o smtpd_proxy_filter=',
    '  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters',
    '  -o smtpd_authorized_xforward_hosts=127.0.0.0/8',
    '  -o mynetworks=127.0.0.0/8',
    '  -o smtpd_client_restrictions=',
    '  -o smtpd_helo_restrictions=',
    '  -o smtpd_sender_restrictions=',
    '  -o smtpd_relay_restrictions=permit_mynetworks,reject',
    '  -o smtpd_recipient_restrictions=permit_mynetworks,reject',
    '  -o smtpd_tls_security_level=none',
  ];
}

/** Postfix: MILTER_README; Sendmail: libmilter/README. */
export function milterLines(port: number): MtaLines[] {
  return [
    {
      mta: 'Postfix',
      file: 'main.cf',
      lines: [
        `smtpd_milters = inet:127.0.0.1:${port}`,
        'non_smtpd_milters = $smtpd_milters',
        'milter_default_action = tempfail',
        'milter_protocol = 6',
      ],
    },
    {
      mta: 'Postfix',
      file: 'main.cf',
      where: 'only with strip-origin: no milter sees the Received field that Postfix itself adds',
      lines: [
        'header_checks = regexp:$config_directory/mailfilter_headers',
        'smtpd_sasl_authenticated_header = yes',
      ],
    },
    {
      mta: 'Postfix',
      file: 'mailfilter_headers',
      where: 'only with strip-origin: a new file beside main.cf',
      lines: ['/^Received: from .*\\(Authenticated sender: / IGNORE'],
    },
    {
      mta: 'Sendmail',
      file: 'sendmail.mc',
      lines: [
        `INPUT_MAIL_FILTER(\`mailfilter', \`S=inet:${port}@127.0.0.1, F=T, T=C:30s;S:30s;R:4m;E:10m')dnl`,
      ],
    },
  ];
}

/** @param command that runs `deliver` with its config, ready for a config file: no quotes, no shell */
export function mdaLines(command: string): MtaLines[] {
  const [program = '', ...words] = command.split(' ');
  return [
    { mta: 'Postfix', file: 'main.cf', lines: [`mailbox_command = ${command}`] },
    {
      mta: 'Exim',
      file: 'exim4.conf',
      where: 'transports; the router for local users names it',
      lines: [
        'mailfilter_deliver:',
        '  driver = pipe',
        // The sender comes in the environment: Exim takes no address of a stranger into a command.
        `  command = ${command}`,
        '  user = $local_part_data',
        '  message_prefix =',
        '  message_suffix =',
        '  return_fail_output',
        '  temp_errors = 70 : 73 : 74 : 75 : 78',
        // Without it the mail of a process that was killed would go back to its sender.
        '  freeze_signal',
      ],
    },
    {
      mta: 'Sendmail',
      file: 'sendmail.mc',
      where: "before MAILER(`local')",
      lines: [
        `FEATURE(\`local_procmail', \`${program}', \`${['mailfilter', ...words].join(' ')} -f $g -d $u', \`SPhn9')dnl`,
      ],
    },
    {
      mta: 'OpenSMTPD',
      file: 'smtpd.conf',
      lines: [`action "local" mda "${command} -f '%{sender}'"`, 'match for local action "local"'],
    },
  ];
}

/** @param command that runs `opensmtpd-filter` with its config */
export function openSmtpdFilterLines(command: string): MtaLines[] {
  return [
    {
      mta: 'OpenSMTPD',
      file: 'smtpd.conf',
      where: 'and: listen on ... filter "mailfilter"',
      lines: [`filter "mailfilter" proc-exec "${command}"`],
    },
  ];
}
