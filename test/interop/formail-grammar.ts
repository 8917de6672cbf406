/** Random options of formail and random input. */
import type { RandomSource } from '../kit/random.ts';

const names = ['Subject:', 'From:', 'To:', 'Received:', 'X-A:', 'X-B:', 'Message-ID:', 'Reply-To:', 'Date:'];
const parts = ['Sub', 'X-', 'Re', 'F', '', 'From ', 'm'];
const values = [
  ...['a', 'b c', '', 'x@y.example', '<z@w.example> (c)', 'Joe <joe@host>', '"q, r" <s@t.example>', 'a!b'],
  ...['root', 'x\n\tfolded', '  spaced  ', '<1@x>', '3', 'Re: x', 'g: a@b.c, d@e.f;', '(only a comment)'],
];

export function randomOptions(random: RandomSource): string[] {
  const some = (share: number) => random.below(100) < share;
  const options: string[] = [];
  for (const letter of 'bczfrtkY') if (some(12)) options.push(`-${letter}`);
  const count = random.below(4);
  for (let n = 0; n < count; n += 1) options.push(...fieldOption(random, options.includes('-r')));
  const extracts = options.some((option) => /^-[xX]/.test(option));
  if (!extracts && some(10)) options.push('-l', 'folder');
  if (some(8)) options.push('-p', random.pick(['>>', '| ', '']));
  if (some(50)) return options;
  for (const letter of 'ed') if (some(25)) options.push(`-${letter}`);
  if (some(15)) options.push('-m', String(1 + random.below(4)));
  if (some(15)) options.push(`+${random.below(3)}`);
  if (some(15)) options.push(`-${1 + random.below(3)}`);
  return [...options, '-s'];
}

/** In an answer -u and -U refer to fields that are gone: what formail does is chance. */
function fieldOption(random: RandomSource, answers: boolean): string[] {
  const letter = random.pick([...(answers ? 'aAiIxXR' : 'aAiIxXuUR')]);
  const name = random.below(10) < 7 ? random.pick(names) : random.pick(parts);
  if (letter === 'R') return ['-R', name, random.pick([...names, ...parts])];
  // A new Message-ID is not as long as another's.
  const hasValue = 'aAiI'.includes(letter) && (name === 'Message-ID:' || random.below(2) === 0);
  return [`-${letter}`, hasValue && name.endsWith(':') ? `${name} ${random.pick(values)}` : name];
}

export function randomBox(random: RandomSource): string {
  const mails = Array.from({ length: 1 + random.below(3) }, () => randomMail(random));
  const box = mails.join(random.pick(['\n', '\n\n', '']));
  // Of a From_ line that ends a header formail judges by what happens to be in memory.
  return box.replace(/^((?:>?From |[\w-]+:|[ \t]).*\n)(?=From )/gm, '$1text\n');
}

function randomMail(random: RandomSource): string {
  const lines: string[] = [];
  if (random.below(10) < 7)
    lines.push(
      random.pick([
        'From a@x Sat Nov 21 09:00:00 2026',
        'From b c',
        'From root Sat\n>From u Fri remote from h',
      ]),
    );
  for (let count = random.below(6); count > 0; count -= 1)
    lines.push(`${random.pick(names)}${random.pick([' ', '', '\t'])}${random.pick(values)}`);
  if (random.below(10) === 0) lines.push(`Content-Length: ${random.below(60)}`);
  if (random.below(10) < 8) lines.push('');
  for (let count = random.below(6); count > 0; count -= 1)
    lines.push(
      random.pick([
        'text',
        '',
        'From here on',
        'From x',
        '>From y',
        'Subject: no',
        'X-Y: z',
        ' indented',
        'a: b',
      ]),
    );
  return lines.join('\n');
}
