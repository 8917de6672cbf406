/** One log line for eyes on a terminal: time, level, event, facts as key=value. */

const colours: Readonly<Record<string, string>> = {
  trace: '\x1b[90m',
  debug: '\x1b[36m',
  info: '\x1b[32m',
  warn: '\x1b[33m',
  error: '\x1b[31m',
};
const plain = '\x1b[0m';
const dim = '\x1b[2m';

/** Takes and gives a line with its line end; text that is no JSON object passes unchanged. */
export function prettyLine(line: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof parsed !== 'object' || parsed === null) return line;
  const { level, time, event, ...facts } = parsed as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const colour = colours[String(level)] ?? '';
  const pairs = Object.entries(facts).map(([key, value]) => `${dim}${key}=${plain}${showValue(value)}`);
  return `${dim}${clock}${plain} ${colour}${String(level).padEnd(5)}${plain} ${[event, ...pairs].join(' ')}\n`;
}

/** Control characters of mail must not reach the terminal: JSON escapes those below 32, the others follow here. */
function showValue(value: unknown): string {
  const bare = typeof value === 'string' && /^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(value) && !value.includes('"');
  const text = bare ? value : JSON.stringify(value);
  return text.replace(/[\x7f-\x9f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}
