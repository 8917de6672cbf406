/**
 * Edits are values: a list is applied in order, each seeing what those before it left, all or nothing. What no edit
 * touches comes out byte for byte. Counting follows the milter protocol: `nth` starts at 1 among fields of that name.
 */
export type Edit =
  /** Append a field at the end of the header block. */
  | { readonly type: 'addHeader'; readonly name: string; readonly value: string }
  /** Put a field at `index` (0 = the very top) of the header block; past the end it is appended. */
  | { readonly type: 'insertHeader'; readonly index: number; readonly name: string; readonly value: string }
  /** Give the nth field of that name a new value, keeping its place; appended when there is no such field. */
  | { readonly type: 'changeHeader'; readonly name: string; readonly nth: number; readonly value: string }
  /** Remove the nth field of that name, or all; nothing happens when there is none. */
  | { readonly type: 'deleteHeader'; readonly name: string; readonly nth: number | 'all' }
  /** New body, CRLF line ends. */
  | { readonly type: 'replaceBody'; readonly body: Uint8Array }
  | {
      readonly type: 'changeSender';
      readonly address: string;
      readonly parameters?: Readonly<Record<string, string | true>>;
    }
  | {
      readonly type: 'addRecipient';
      readonly address: string;
      readonly parameters?: Readonly<Record<string, string | true>>;
    }
  | { readonly type: 'deleteRecipient'; readonly address: string };

export type EditType = Edit['type'];
