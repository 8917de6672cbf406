/** Header fields of a message or MIME part as tests see them: found by name, decoded once. RFC 5228 section 2.4.2.2. */
import { type HeaderAddress, parseAddressList } from '../../core/mail/address-list.ts';
import { decodeWords } from '../../core/mail/encoded-word.ts';
import {
  fieldName,
  fieldValue,
  type HeaderBlock,
  headerTooLarge,
  parseHeader,
} from '../../core/mail/header.ts';
import { parseSingleAddress } from './single-address.ts';
import { noValues, Values } from './values.ts';

export interface Field {
  /** As written. */
  readonly name: string;
  readonly lowerName: string;
  /** Name, value, folds and line end. */
  readonly raw: Buffer;
}

export class Fields {
  readonly all: readonly Field[];
  #byName: Map<string, Field[]> | undefined;
  readonly #values = new Map<string, Values>();
  readonly #joined = new WeakMap<readonly string[], Values>();
  readonly #rawValues = new Map<string, readonly string[]>();
  readonly #addresses = new Map<string, readonly AddressField[]>();

  constructor(all: readonly Field[]) {
    this.all = all;
  }

  named(lowerName: string): readonly Field[] {
    if (!this.#byName) {
      this.#byName = new Map();
      for (const field of this.all) {
        const same = this.#byName.get(field.lowerName);
        if (same) same.push(field);
        else this.#byName.set(field.lowerName, [field]);
      }
    }
    return this.#byName.get(lowerName) ?? none;
  }

  /** Unfolded, trimmed, encoded words decoded. RFC 5228 section 2.4.2.2, 5.7. */
  values(lowerName: string): Values {
    let values = this.#values.get(lowerName);
    if (!values) {
      const raw = this.rawValues(lowerName);
      values = raw.length === 0 ? noValues : new Values(raw.map((value) => decodeWords(value)));
      this.#values.set(lowerName, values);
    }
    return values;
  }

  /** Of several names, as one. Rules that ask for the same names share one list of them: its values are found by it. */
  valuesOfAll(lowerNames: readonly string[]): Values {
    let values = this.#joined.get(lowerNames);
    if (!values) {
      values = Values.join(lowerNames.map((name) => this.values(name)));
      this.#joined.set(lowerNames, values);
    }
    return values;
  }

  /** Unfolded and trimmed, encoded words as they are. */
  rawValues(lowerName: string): readonly string[] {
    let values = this.#rawValues.get(lowerName);
    if (!values) {
      values = this.named(lowerName).map((field) => fieldValue(withSpaces(field.raw)));
      this.#rawValues.set(lowerName, values);
    }
    return values;
  }

  /** The fields of that name as addresses. */
  addressFields(lowerName: string): readonly AddressField[] {
    let fields = this.#addresses.get(lowerName);
    if (!fields) {
      fields = this.rawValues(lowerName).map(readAddressField);
      this.#addresses.set(lowerName, fields);
    }
    return fields;
  }

  /** Mailboxes of all fields of that name, groups flattened; what breaks the grammar is not among them. */
  addresses(lowerName: string): readonly HeaderAddress[] {
    return this.addressFields(lowerName).flatMap(({ addresses }) => addresses);
  }
}

/** A field that should hold addresses. */
export interface AddressField {
  readonly value: string;
  /** Those that are addresses; none where nothing in the field is. */
  readonly addresses: readonly HeaderAddress[];
}

/** Dots where no grammar has them, and words behind an address in brackets, leave it what it is. */
function isMeant(value: string, address: string): boolean {
  if ('error' in parseSingleAddress(address)) return false;
  return value.includes(`<${address}>`) || (!value.includes('<') && value.includes(address));
}

export function readAddressField(value: string): AddressField {
  const addresses = parseAddressList(value).filter(
    ({ valid, address }) => valid || (address !== '' && isMeant(value, address)),
  );
  return { value, addresses };
}

/** A tab that begins a continued line is read as the space that it stands for: rules are written with spaces. */
function withSpaces(raw: Buffer): Buffer {
  if (!raw.includes('\n\t')) return raw;
  return Buffer.from(raw.toString('latin1').replaceAll('\n\t', '\n '), 'latin1');
}

const none: readonly Field[] = [];

/** Fields of octets that begin with a header, and where the body begins. */
export function readFields(octets: Buffer): {
  readonly fields: Fields;
  readonly separator: Buffer;
  readonly bodyStart: number;
} {
  const block = parseHeader(octets, octets.length);
  // Without a limit no header is too large.
  if (block === headerTooLarge) return { fields: new Fields([]), separator: Buffer.alloc(0), bodyStart: 0 };
  return { fields: new Fields(fieldsOf(block)), separator: block.separator, bodyStart: block.bodyStart };
}

/** Lines that are no field keep their place, under a name that nothing asks for. */
function fieldsOf(block: HeaderBlock): Field[] {
  return block.starts.map((start, index) => {
    const raw = block.bytes.subarray(start, block.end(index));
    const name = fieldName(raw);
    return { name, lowerName: name.toLowerCase(), raw };
  });
}
