/** Where a JSON pointer leads in the text of a config. */
import { type JsoncDocument, lineAndColumn, parseJsonc } from './jsonc.ts';

export interface TextPlace {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

/** The value at the pointer, or the nearest one around it that was written: defaults stand nowhere. */
export function placeOf(text: string, pointer: string): TextPlace {
  return lineAndColumn(text, offsetOf(parseJsonc(text), pointer));
}

/** As placeOf, the offset, of a document at hand; with `atKey` where the member's name begins. */
export function offsetOf(document: JsoncDocument, pointer: string, atKey = false): number {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const place = document.places.get(at);
    if (place !== undefined) return atKey ? (place.key ?? place.value) : place.value;
  }
  return document.places.get('')?.value ?? 0;
}
