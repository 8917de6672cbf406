/** Settings as test scripts give them, under the names that Pigeonhole has for them, and what they mean here. */
import type { SieveEnvelope, SieveSettings } from '../environment.ts';
import { defaultSieveLimits, type SieveLimits } from '../limits.ts';
import { sieveExtensions } from '../registry.ts';
import { parseSingleAddress } from '../single-address.ts';

export type ConfigValues = ReadonlyMap<string, string>;

const day = 86_400;
const units: Readonly<Record<string, number>> = {
  s: 1,
  sec: 1,
  secs: 1,
  second: 1,
  seconds: 1,
  m: 60,
  min: 60,
  mins: 60,
  minute: 60,
  minutes: 60,
  h: 3600,
  hour: 3600,
  hours: 3600,
  d: day,
  day,
  days: day,
  w: 7 * day,
  week: 7 * day,
  weeks: 7 * day,
};

/** `1s`, `2 days`; a number alone counts as seconds. */
export function readSeconds(text: string | undefined): number | undefined {
  const match = /^(\d+)\s*([a-z]*)$/i.exec((text ?? '').trim());
  if (!match) return undefined;
  const unit = match[2] === '' ? 1 : units[match[2]!.toLowerCase()];
  return unit === undefined ? undefined : Number(match[1]) * unit;
}

function readBytes(text: string | undefined): number | undefined {
  const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec((text ?? '').trim());
  return match ? Number(match[1]) * 1024 ** ' kmg'.indexOf(match[2]!.toLowerCase() || ' ') : undefined;
}

function readNumber(text: string | undefined): number | undefined {
  return /^\d+$/.test((text ?? '').trim()) ? Number(text) : undefined;
}

function readYes(text: string | undefined): boolean | undefined {
  return text === undefined || text.trim() === '' ? undefined : /^(?:yes|y|true|1)$/i.test(text.trim());
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter((word) => word !== '');
}

/** Only what is given replaces a default. */
function given<Settings extends object>(settings: Settings): Partial<Settings> {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as Partial<Settings>;
}

export function limitsOf(config: ConfigValues): SieveLimits {
  const get = (name: string) => config.get(name);
  const cpuSeconds = readSeconds(get('sieve_max_cpu_time'));
  return {
    ...defaultSieveLimits,
    // Pigeonhole allows four loops within each other, and its test scripts count on it.
    loopDepthMax: 4,
    ...given({
      // 0 stands for no limit there.
      actionsMax: readNumber(get('sieve_max_actions')) || undefined,
      redirectsMax: readNumber(get('sieve_max_redirects')),
      scriptBytesMax: readBytes(get('sieve_max_script_size')) || undefined,
      runMs: cpuSeconds === undefined || cpuSeconds === 0 ? undefined : cpuSeconds * 1000,
      variablesMax: readNumber(
        get('sieve_variables_max_scope_count') ?? get('sieve_variables_max_scope_size'),
      ),
      variableBytesMax: readBytes(get('sieve_variables_max_variable_size')),
      includesMax: readNumber(get('sieve_include_max_includes')),
      includeDepthMax: readNumber(get('sieve_include_max_nesting_depth')),
      headerValueBytesMax: readBytes(get('sieve_editheader_max_header_size')),
    }),
  };
}

/** `+name` and `-name` change what there is, names alone replace it; undefined where nothing is set. */
export function extensionsOf(config: ConfigValues): readonly string[] | undefined {
  const given = words(config.get('sieve_extensions'));
  if (given.length === 0) return undefined;
  const changes = given.every((word) => /^[+-]/.test(word));
  const names = new Set(changes ? sieveExtensions : []);
  for (const word of given) {
    if (word.startsWith('-')) names.delete(word.slice(1));
    else names.add(word.replace(/^\+/, ''));
  }
  return [...names];
}

export function settingsOf(config: ConfigValues, envelope: SieveEnvelope): SieveSettings {
  const get = (name: string) => config.get(name);
  const email = readAddress(get('sieve_user_email'));
  const separators = get('recipient_delimiter') ?? get('sieve_subaddress_sep');
  const checks = readYes(get('sieve_vacation_check_recipient'));
  return given({
    userAddress: email,
    subaddressSeparators: separators === undefined || separators === '' ? undefined : [...separators],
    vacationMinSeconds: readSeconds(get('sieve_vacation_min_period')),
    vacationMaxSeconds: readSeconds(get('sieve_vacation_max_period')),
    vacationDefaultSeconds: readSeconds(get('sieve_vacation_default_period')),
    vacationIgnoresRecipients:
      checks === undefined ? readYes(get('sieve_vacation_dont_check_recipient')) : !checks,
    vacationFromRecipient: readYes(get('sieve_vacation_send_from_recipient')),
    vacationUsesOriginalRecipient: readYes(get('sieve_vacation_use_original_recipient')),
    vacationDefaultSubject: get('sieve_vacation_default_subject'),
    vacationSubjectTemplate: get('sieve_vacation_default_subject_template'),
    vacationToIgnoresEnvelope: readYes(get('sieve_vacation_to_header_ignore_envelope')),
    duplicateDefaultSeconds: readSeconds(get('sieve_duplicate_default_period')),
    duplicateMaxSeconds: readSeconds(get('sieve_duplicate_max_period')),
    notifySender: senderBySetting(get('sieve_notify_mailto_envelope_from'), envelope, email),
    hostname: 'mail.example.com',
    reportFrom: senderBySetting(get('sieve_report_from'), envelope, email) || undefined,
    ...protectedHeaders(config),
  });
}

/** A list, or one block for each field. */
function protectedHeaders(config: ConfigValues): Partial<SieveSettings> {
  const notAdded = words(config.get('sieve_editheader_forbid_add'));
  const notDeleted = words(config.get('sieve_editheader_forbid_delete'));
  for (const [name, value] of config) {
    const block = /^sieve_editheader_header\/([^/]+)\/(?:sieve_editheader_header_)?forbid_(add|delete)$/.exec(
      name,
    );
    if (block && readYes(value)) (block[2] === 'add' ? notAdded : notDeleted).push(block[1]!);
  }
  return {
    protectedHeaders: words(config.get('sieve_editheader_protected')),
    headersNotAdded: notAdded,
    headersNotDeleted: notDeleted,
  };
}

/** `postmaster`, `sender`, `recipient`, `orig_recipient`, `user_email` or an address in brackets; undefined where nothing is set. */
export function senderBySetting(
  setting: string | undefined,
  envelope: SieveEnvelope,
  userAddress: string | undefined,
): string | undefined {
  const wanted = (setting ?? '').trim();
  if (wanted === '') return undefined;
  if (wanted === 'sender') return envelope.from ?? '';
  if (wanted === 'recipient') return envelope.to ?? '';
  if (wanted === 'orig_recipient') return envelope.originalTo ?? envelope.to ?? '';
  if (wanted === 'user_email') return userAddress ?? envelope.to ?? '';
  if (wanted === 'postmaster') return 'postmaster@mail.example.com';
  return wanted === '<>' ? '' : readAddress(wanted);
}

export function readAddress(text: string | undefined): string | undefined {
  const parsed = text === undefined || text.trim() === '' ? undefined : parseSingleAddress(text);
  return parsed && !('error' in parsed) ? parsed.address : undefined;
}
