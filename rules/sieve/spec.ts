/** How commands, tests, tags and extensions are declared: what the checker knows of each, and what makes it run. */
import type { Comparator } from './comparators.ts';
import type { Compiler } from './compiler.ts';
import type { Variable } from './extensions/variables.ts';
import type { Matcher } from './match.ts';
import type { Argument } from './parser.ts';
import type { Offset } from './problems.ts';
import type { Run } from './run.ts';
import type { Texts } from './strings.ts';
import type { Use } from './use.ts';

/** A compiled test. It may throw Fault, or Suspended where an answer has to be waited for. */
export type Test = (run: Run) => boolean;
/** A compiled command. */
export type Step = (run: Run) => void;

export type ValueType = 'string' | 'string-list' | 'number';

export interface Positional {
  /** As error messages name it: `key list`. */
  readonly name: string;
  readonly type: ValueType;
}

export interface TagSpec {
  /** Without colon. */
  readonly name: string;
  /** The argument that follows it. */
  readonly parameter?: ValueType;
  /** Replaces the check of the parameter: reports what is wrong, and answers whether `next` was taken. */
  readonly read?: (use: Use, next: Argument | undefined) => 'taken' | 'none' | 'wrong';
  /** Tags of one group exclude each other; errors name it. */
  readonly group?: string;
}

interface Shape {
  /** Lower case. */
  readonly name: string;
  readonly positional?: readonly Positional[];
  /** This many of the first positional arguments may be left out. */
  readonly optional?: number;
  /** This many of the last ones. */
  readonly optionalLast?: number;
  readonly tags?: readonly TagSpec[];
  /** It takes `:comparator` and a match type. */
  readonly matches?: boolean;
  /** It takes `:localpart` and its like. */
  readonly addressPart?: boolean;
  /** Tests within: one, or a list in brackets. */
  readonly tests?: 'one' | 'list';
}

export interface TestSpec extends Shape {
  readonly kind: 'test';
  compile(use: Use): Test;
}

export interface ActionSpec extends Shape {
  readonly kind: 'command';
  readonly block?: boolean;
  /** What follows in the same block is never run. */
  readonly ends?: boolean;
  compile(use: Use): Step;
}

export type Spec = TestSpec | ActionSpec;

/** What `:is` and its like do with values and keys. RFC 5228 section 2.7.1. */
export interface MatchType {
  readonly tag: TagSpec;
  compile(use: Use, keys: Texts, comparator: Comparator, at: Offset): Matcher;
}

/** A part of an address, undefined where the address has none. RFC 5228 section 2.7.4. */
export interface AddressPart {
  readonly name: string;
  part(local: string, domain: string, run: Run): string | undefined;
}

/** One part of the envelope: values, which are addresses or plain texts. Undefined where it is not known. */
export interface EnvelopePart {
  readonly isAddress: boolean;
  values(run: Run): readonly (string | undefined)[];
}

/** What set does to a value. RFC 5229 section 4.1. */
export interface Modifier {
  readonly name: string;
  /** Higher ones are applied first. */
  readonly precedence: number;
  /** Pieces of its result that are not cut in two at the limit of a value. */
  readonly units?: RegExp;
  apply(text: string): string;
}

/** One name that scripts may require. */
export interface Extension {
  readonly name: string;
  /** An older extension, understood wherever this newer one is, never announced, and not used together with it. */
  readonly replacedBy?: string;
  /** Required with it. */
  readonly implies?: readonly string[];
  readonly specs?: readonly Spec[];
  /** Tags that it gives to commands and tests of others, by their names. */
  readonly tags?: Readonly<Record<string, readonly TagSpec[]>>;
  readonly matchTypes?: readonly MatchType[];
  readonly addressParts?: readonly AddressPart[];
  readonly modifiers?: readonly Modifier[];
  /** Parts that the envelope test may ask for, by lower-case name. */
  readonly envelopeParts?: Readonly<Record<string, EnvelopePart>>;
  /** Variables of a namespace: `${env.name}`. RFC 5229 section 3. */
  readonly namespaces?: Readonly<
    Record<string, (compiler: Compiler, names: readonly string[], at: Offset) => Variable | undefined>
  >;
  /** Names without commands of their own (`comparator-i;octet`), or used in ways the checker cannot see. */
  readonly silent?: boolean;
  /** Not for users' scripts. */
  readonly internal?: boolean;
}
