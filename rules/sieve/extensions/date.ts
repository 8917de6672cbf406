/** The date and currentdate tests. RFC 5260 section 4. */
import { parseDate } from '../../../core/mail/date.ts';
import { chooseFields } from '../field-choice.ts';
import { isHeaderName } from '../header-names.ts';
import type { Run } from '../run.ts';
import type { Extension, TagSpec, TestSpec } from '../spec.ts';
import { shown } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';

interface LocalTime {
  readonly epochMs: number;
  /** Minutes east of UTC. */
  readonly zone: number;
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const pad = (value: number, length = 2) => String(value).padStart(length, '0');

/** Parts as section 4.2 writes them; `date` reads in UTC what is the local time. */
const parts: Readonly<Record<string, (date: Date, time: LocalTime) => string>> = {
  year: (date) => pad(date.getUTCFullYear(), 4),
  month: (date) => pad(date.getUTCMonth() + 1),
  day: (date) => pad(date.getUTCDate()),
  date: (date) => date.toISOString().slice(0, 10),
  // Modified Julian Day: days since 17 November 1858.
  julian: (date) => String(Math.floor(date.getTime() / 86_400_000) + 40_587),
  hour: (date) => pad(date.getUTCHours()),
  minute: (date) => pad(date.getUTCMinutes()),
  second: (date) => pad(date.getUTCSeconds()),
  time: (date) => date.toISOString().slice(11, 19),
  iso8601: (date, { zone }) => `${date.toISOString().slice(0, 19)}${zone === 0 ? 'Z' : zoneText(zone, ':')}`,
  std11: (date, { zone }) =>
    `${days[date.getUTCDay()]}, ${pad(date.getUTCDate())} ${months[date.getUTCMonth()]} ${pad(date.getUTCFullYear(), 4)} ${date.toISOString().slice(11, 19)} ${zoneText(zone, '')}`,
  zone: (_date, { zone }) => zoneText(zone, ''),
  weekday: (date) => String(date.getUTCDay()),
};

function zoneText(zone: number, colon: string): string {
  const minutes = Math.abs(zone);
  return `${zone < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}${colon}${pad(minutes % 60)}`;
}

/** `+0100` as minutes east of UTC, undefined for anything else. */
function readZone(text: string): number | undefined {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(text);
  if (!match) return undefined;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === '-' ? -minutes : minutes;
}

const zoneTags: readonly TagSpec[] = [
  { name: 'zone', parameter: 'string', group: 'zone' },
  { name: 'originalzone', group: 'zone' },
];

/** The zone to show a time in: the given one, that of the field, or the local one. */
function zoneOption(use: Use): (run: Run, time: LocalTime) => number {
  const zone = use.tagText('zone');
  if (zone?.constant !== undefined && readZone(zone.constant) === undefined)
    use.compiler.problems.warning(
      use.tagAt('zone'),
      'no-effect',
      `specified :zone argument '${shown(zone.constant)}' is not a valid timezone: +0100 is one`,
    );
  if (use.has('originalzone')) return (_run, time) => time.zone;
  return (run, time) => (zone && readZone(zone.value(run))) ?? localZone(run, time.epochMs);
}

function localZone(run: Run, epochMs: number): number {
  const { zoneMinutes = 0 } = run.environment;
  return typeof zoneMinutes === 'number' ? zoneMinutes : zoneMinutes(epochMs);
}

function datePart(use: Use, index: number): (run: Run, time: LocalTime) => string | undefined {
  const name = use.text(index);
  const zone = zoneOption(use);
  if (name.constant !== undefined && !Object.hasOwn(parts, name.constant.toLowerCase()))
    use.compiler.problems.warning(
      use.at(index),
      'no-effect',
      `specified date part \`${shown(name.constant)}' is not known`,
    );
  return (run, time) => {
    const lower = name.value(run).toLowerCase();
    const shownZone = zone(run, time);
    const local = new Date(time.epochMs + shownZone * 60_000);
    return Object.hasOwn(parts, lower) ? parts[lower]!(local, { ...time, zone: shownZone }) : undefined;
  };
}

const dateTest: TestSpec = {
  name: 'date',
  kind: 'test',
  matches: true,
  tags: zoneTags,
  positional: [
    { name: 'header name', type: 'string' },
    { name: 'date part', type: 'string' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const name = use.text(0);
    if (name.constant !== undefined && !isHeaderName(name.constant))
      use.compiler.problems.warning(
        use.at(0),
        'invalid-header-name',
        `specified header field name '${shown(name.constant)}' is invalid`,
      );
    const part = datePart(use, 1);
    const match = use.match(2);
    const fields = chooseFields(use);
    return (run) => {
      const header = name.value(run).toLowerCase();
      run.trace?.input('header', header);
      const times = fields.rawValues(run, header).map(timeOf);
      return match(run, partValues(run, part, times));
    };
  },
};

/** RFC 5260 section 4: of a field with a date at its end (Received) what stands behind the last semicolon. */
function timeOf(value: string): LocalTime | undefined {
  const written = value.slice(value.lastIndexOf(';') + 1).trim();
  const epochMs = parseDate(written);
  if (epochMs === undefined) return undefined;
  const zone = /([+-]\d{4})\s*(?:\([^()]*\))?$/.exec(written)?.[1];
  if (zone) return { epochMs, zone: readZone(zone)! };
  // A zone by its name: what the time of day in it is ahead of UTC.
  const asUtc = parseDate(written.replace(/\s*[A-Za-z]{1,5}$/, ' +0000'));
  return { epochMs, zone: asUtc === undefined ? 0 : (asUtc - epochMs) / 60_000 };
}

function partValues(
  run: Run,
  part: ReturnType<typeof datePart>,
  times: readonly (LocalTime | undefined)[],
): Values {
  const texts = times.map((time) => time && part(run, time));
  return new Values(texts.filter((text) => text !== undefined));
}

const currentdate: TestSpec = {
  name: 'currentdate',
  kind: 'test',
  matches: true,
  tags: [zoneTags[0]!],
  positional: [
    { name: 'date part', type: 'string' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const part = datePart(use, 0);
    const match = use.match(1);
    return (run) => {
      const { now } = run.environment;
      return match(run, partValues(run, part, [{ epochMs: now, zone: localZone(run, now) }]));
    };
  },
};

export const date: Extension = {
  name: 'date',
  specs: [dateTest, currentdate],
  // RFC 6009 section 3: the zone in which bytimeabsolute is shown.
  tags: { envelope: [{ name: 'zone', parameter: 'string' }] },
};
export { localZone, parts as dateParts, readZone };
