/** Where a recipient's mail goes: the config's routes, in order, the first match decides. */
import type { Reply } from '../../core/mail/reply.ts';

export type Route =
  | { readonly kind: 'mailbox' }
  | { readonly kind: 'relay'; readonly via: string }
  | { readonly kind: 'lmtp'; readonly to: string }
  | { readonly kind: 'pipe'; readonly command: readonly string[] }
  | { readonly kind: 'reject'; readonly reply: Reply };

export interface RouteQuestion {
  readonly recipient: string;
  readonly sender: string;
  /** Authenticated user, or a client from trustedNetworks. */
  readonly authenticated: boolean;
}
export type Router = (question: RouteQuestion) => Route;
