/** What both sides agree on before anything else: version, what the filter may change, which steps it does not need. */
import { milterLimits } from '../../base/limits/doors.ts';
import { stringAt, textOf, uint32, uint32At } from './fields.ts';
import {
  type ActionName,
  actionBits,
  commandLetters,
  type MacroStage,
  macroStages,
  type StepName,
  stepBits,
  versionMax,
  versionMin,
} from './numbers.ts';
import { encodePacket } from './packet.ts';
import { MilterWireError } from './wire-error.ts';

/** The same in both directions: what the MTA offers, what the filter takes of it. */
export interface Terms {
  readonly version: number;
  readonly actions: ReadonlySet<ActionName>;
  readonly steps: ReadonlySet<StepName>;
  /** Filter to MTA, with the action `setMacros`: which macros it wants at a stage. */
  readonly macros?: Readonly<Partial<Record<MacroStage, readonly string[]>>>;
}

export function encodeTerms({ version, actions, steps, macros = {} }: Terms): Buffer {
  const lists = Object.entries(macros).flatMap(([stage, names]) => [
    uint32(macroStages[stage as MacroStage]),
    `${names.join(' ')}\0`,
  ]);
  return encodePacket(
    commandLetters.negotiate,
    uint32(version),
    uint32(bitsOf(actions, actionBits)),
    uint32(bitsOf(steps, stepBits)),
    ...lists,
  );
}

/**
 * @throws MilterWireError when the data is cut short, holds too many lists of macros, or the version is older than 2.
 * Bits that are not known are passed over: a newer peer offers more than it needs.
 */
export function decodeTerms(data: Buffer): Terms {
  const version = uint32At(data, 0, 'the negotiation');
  if (version < versionMin)
    throw new MilterWireError(`version ${version} of the protocol is not spoken here`);
  const terms: Terms = {
    version,
    actions: namesOf(uint32At(data, 4, 'the negotiation'), actionBits),
    steps: namesOf(uint32At(data, 8, 'the negotiation'), stepBits),
  };
  const macros = macrosIn(data);
  return Object.keys(macros).length > 0 ? { ...terms, macros } : terms;
}

/**
 * What a filter answers to an offer: the lower version, and of its wishes those the MTA offers. A reply that need not
 * be waited for is declined only where the MTA offers that; a step that was asked to be left out and is not offered
 * comes anyway.
 */
export function agree(offer: Terms, wish: Omit<Terms, 'version'>): Terms {
  const actions = common(offer.actions, wish.actions);
  const terms = {
    version: Math.min(offer.version, versionMax),
    actions,
    steps: common(offer.steps, wish.steps),
  };
  return actions.has('setMacros') && wish.macros ? { ...terms, macros: wish.macros } : terms;
}

function common<Name>(offered: ReadonlySet<Name>, wanted: ReadonlySet<Name>): ReadonlySet<Name> {
  return new Set([...wanted].filter((name) => offered.has(name)));
}

function bitsOf<Name extends string>(names: ReadonlySet<Name>, bits: Readonly<Record<Name, number>>): number {
  let value = 0;
  for (const name of names) value |= bits[name];
  return value >>> 0;
}

function namesOf<Name extends string>(value: number, bits: Readonly<Record<Name, number>>): Set<Name> {
  return new Set((Object.keys(bits) as Name[]).filter((name) => (value & bits[name]) !== 0));
}

function macrosIn(data: Buffer): Partial<Record<MacroStage, readonly string[]>> {
  const macros: Partial<Record<MacroStage, readonly string[]>> = {};
  const stages = Object.keys(macroStages) as MacroStage[];
  let lists = 0;
  for (let at = 12; at < data.length; lists++) {
    if (lists === milterLimits.macroListsMax) throw new MilterWireError('too many lists of macros');
    const number = uint32At(data, at, 'a list of macros');
    const { value, next } = stringAt(data, at + 4, 'a list of macros');
    const stage = stages.find((name) => macroStages[name] === number);
    if (stage !== undefined) macros[stage] = textOf(value).split(/[ ,]+/).filter(Boolean);
    at = next;
  }
  return macros;
}
