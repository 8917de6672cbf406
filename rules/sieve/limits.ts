/** Limits of compilation and run; the defaults and their reasons stand in core/base/limits.ts. */
import { sieveLimits } from '../../core/base/limits/rules.ts';

/** Each may be set lower or higher by whoever runs the scripts; 0 for `redirectsMax` and `notifiesMax` forbids the action. */
export type SieveLimits = { readonly [name in keyof typeof sieveLimits]: number };

export const defaultSieveLimits: SieveLimits = sieveLimits;
