/** Values that survive JSON and structured clone alike: what results, traces and facts are made of. A key of undefined counts as absent. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };
