/** Takes characters off the ends of a text in linear time: a pattern that ends in `+$` begins anew at every run of them. */

/** @param characters that go from both ends */
export function trimmed(text: string, characters: string): string {
  let start = 0;
  let end = text.length;
  while (end > start && characters.includes(text[end - 1]!)) end -= 1;
  while (start < end && characters.includes(text[start]!)) start += 1;
  return text.slice(start, end);
}

/** @param characters that go from the end */
export function trimmedEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end -= 1;
  return text.slice(0, end);
}
