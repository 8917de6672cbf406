/** Turns the config's routes into the function that answers for each recipient; the first match decides. */
import type { RouteConfig } from '../../core/config/config.ts';
import { compareForm } from '../../core/mail/address.ts';
import { parseAddressPattern } from './pattern.ts';
import type { Route, RouteQuestion, Router } from './router.ts';

/** Where no route matches. RFC 3463 section 3.8: X.7.1 is delivery not authorized. */
const relayingDenied: Route = {
  kind: 'reject',
  reply: { code: 550, enhanced: '5.7.1', text: 'relaying denied' },
};

/** Throws OperationalError `address-pattern` when a `to` or `from` is no pattern. */
export function createRouter(routes: readonly RouteConfig[]): Router {
  const compiled = routes.map((route) => ({
    matches: bothMatch(route),
    route: routeOf(route.action),
  }));
  return (question) => {
    const asked = {
      recipient: compareForm(question.recipient),
      sender: compareForm(question.sender),
      authenticated: question.authenticated,
    };
    return compiled.find(({ matches }) => matches(asked))?.route ?? relayingDenied;
  };
}

/** The question's addresses must be in the form for comparing. */
function bothMatch(route: RouteConfig): (asked: RouteQuestion) => boolean {
  const to = parseAddressPattern(route.to);
  if (route.from === 'authenticated') return (asked) => asked.authenticated && to(asked.recipient);
  const from = parseAddressPattern(route.from === 'any' ? '*' : route.from);
  // Anybody can write any sender: by itself it is no leave to send to everybody.
  const known = sendsOn(route) && route.to === '*';
  return (asked) => (asked.authenticated || !known) && to(asked.recipient) && from(asked.sender);
}

function routeOf(action: RouteConfig['action']): Route {
  switch (action.kind) {
    case 'reject': {
      const { code, enhanced, text } = action;
      return { kind: 'reject', reply: { code, enhanced, text } };
    }
    case 'relay':
      return { kind: 'relay', via: action.via };
    default:
      return action;
  }
}

function sendsOn({ action }: RouteConfig): boolean {
  return action.kind !== 'mailbox' && action.kind !== 'reject';
}
