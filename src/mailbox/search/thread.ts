/** THREAD: messages and their answers as trees. RFC 5256 section 3; REFS as in draft-ietf-morg-inthread. */
import type { SortFacts } from '../index/read-facts.ts';
import type { ThreadAlgorithm, ThreadNode } from '../search-query.ts';
import type { Snapshot } from '../snapshot.ts';
import type { FactSource } from './match.ts';
import { toldDate } from './sort.ts';

interface Message {
  readonly uid: number;
  readonly facts: SortFacts;
  /** Epoch milliseconds. */
  readonly sentAt: number;
}

/** A container of the algorithm: a message, or the place of one that somebody referred to. */
interface Container {
  message?: Message;
  parent?: Container;
  readonly children: Container[];
}

const noFacts: SortFacts = {
  sentAt: undefined,
  sentDay: undefined,
  subject: '',
  isReplyOrForward: false,
  from: '',
  to: '',
  cc: '',
  displayFrom: '',
  displayTo: '',
  messageId: '',
  references: [],
};

/** @param uids of messages that are there, ascending */
export function threadMessages(
  uids: Uint32Array,
  algorithm: ThreadAlgorithm,
  snapshot: Snapshot,
  source: FactSource,
): ThreadNode[] {
  const messages = [...uids].map((uid) => {
    const index = snapshot.indexOf(uid);
    const facts = source.sort(snapshot.data.columns.key[index]!) ?? noFacts;
    return { uid, facts, sentAt: facts.sentAt ?? toldDate(snapshot.data.columns.internalDate[index]!) };
  });
  if (algorithm === 'orderedSubject') return bySubject(messages);
  const roots = byReferences(messages);
  const whole = algorithm === 'references' ? joinSubjects(roots) : roots;
  if (algorithm === 'refs') return whole.sort((a, b) => latest(a) - latest(b)).map(nodeOf);
  return whole.sort(byDate).map(nodeOf);
}

function earlier(a: Message, b: Message): number {
  return a.sentAt - b.sentAt || a.uid - b.uid;
}

/** RFC 5256 section 3, ORDEREDSUBJECT: the first of a subject, and all others below it. */
function bySubject(messages: readonly Message[]): ThreadNode[] {
  const subjects = Map.groupBy(messages, ({ facts }) => facts.subject);
  const threads = [...subjects.values()].map((each) => each.sort(earlier));
  threads.sort((a, b) => earlier(a[0]!, b[0]!));
  return threads.map(([first, ...rest]) => ({
    uid: first!.uid,
    children: rest.map(({ uid }) => ({ uid, children: [] })),
  }));
}

/** Steps 1 to 4 of REFERENCES: roots, pruned, unsorted. */
function byReferences(messages: readonly Message[]): Container[] {
  const byId = new Map<string, Container>();
  const containers: Container[] = [];
  const containerOf = (id: string): Container => {
    let container = byId.get(id);
    if (!container) {
      container = { children: [] };
      byId.set(id, container);
      containers.push(container);
    }
    return container;
  };
  for (const message of messages) {
    const { messageId, references } = message.facts;
    let container = messageId === '' ? undefined : containerOf(messageId);
    // A message without an id, or with one that another has already, is nobody's parent.
    if (!container || container.message) {
      container = { children: [] };
      containers.push(container);
    }
    container.message = message;
    let parent: Container | undefined;
    for (const reference of references) {
      const next = containerOf(reference);
      if (parent && !next.parent && !isWithin(parent, next)) adopt(parent, next);
      parent = next;
    }
    // Its own references are truer than what others said of it.
    if (container.parent) orphan(container);
    if (parent && !isWithin(parent, container)) adopt(parent, container);
  }
  return prune(containers.filter((container) => !container.parent));
}

/** True when `container` is `ancestor` or lies below it. */
function isWithin(container: Container, ancestor: Container): boolean {
  for (let at: Container | undefined = container; at; at = at.parent) if (at === ancestor) return true;
  return false;
}

function adopt(parent: Container, child: Container): void {
  child.parent = parent;
  parent.children.push(child);
}

function orphan(child: Container): void {
  const siblings = child.parent!.children;
  siblings.splice(siblings.indexOf(child), 1);
  child.parent = undefined;
}

/** Step 3: empty places go; at the root they stay where they hold several together. Not recursive: threads may be deep. */
function prune(roots: readonly Container[]): Container[] {
  const order: Container[] = [];
  const waiting = [...roots];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    order.push(next);
    waiting.push(...next.children);
  }
  for (const container of order.reverse()) {
    const kept = container.children.flatMap((child) => (child.message ? [child] : child.children));
    container.children.splice(0, container.children.length, ...kept);
    for (const child of kept) child.parent = container;
  }
  return roots.flatMap((root) => {
    if (root.message || root.children.length > 1) return [root];
    for (const child of root.children) child.parent = undefined;
    return root.children;
  });
}

/** Step 5: threads of the same base subject become one. */
function joinSubjects(roots: readonly Container[]): Container[] {
  const sorted = [...roots].sort(byDate);
  const bySubjectText = new Map<string, Container>();
  for (const root of sorted) {
    const subject = subjectOf(root);
    if (subject === '') continue;
    const other = bySubjectText.get(subject);
    const better = other && ((!root.message && other.message) || (isReply(other) && !isReply(root)));
    if (!other || better) bySubjectText.set(subject, root);
  }
  const result: Container[] = [];
  const replaced = new Map<Container, Container>();
  for (const root of sorted) {
    const subject = subjectOf(root);
    const first = subject === '' ? undefined : bySubjectText.get(subject);
    if (!first || first === root) {
      result.push(root);
      continue;
    }
    const target = replaced.get(first) ?? first;
    const joined = joinTwo(target, root);
    if (joined !== target) replaced.set(first, joined);
  }
  return result.map((root) => replaced.get(root) ?? root);
}

/** @returns the container that stands at the place of `first` */
function joinTwo(first: Container, second: Container): Container {
  if (!first.message && !second.message) {
    for (const child of second.children) adopt(first, child);
    return first;
  }
  if (!first.message || (isReply(second) && !isReply(first))) {
    adopt(first, second);
    return first;
  }
  const both: Container = { children: [] };
  adopt(both, first);
  adopt(both, second);
  return both;
}

/** Of the message, or of the first below an empty place. */
function firstOf(container: Container): Message | undefined {
  return container.message ?? container.children.toSorted(byDate)[0]?.message;
}

function subjectOf(container: Container): string {
  return firstOf(container)?.facts.subject ?? '';
}

function isReply(container: Container): boolean {
  return container.message?.facts.isReplyOrForward ?? false;
}

function byDate(a: Container, b: Container): number {
  const [first, second] = [a.message ?? earliestBelow(a), b.message ?? earliestBelow(b)];
  return first && second ? earlier(first, second) : 0;
}

/** An empty place is sorted by the first of its children. RFC 5256 section 3, step 4. */
function earliestBelow(container: Container): Message | undefined {
  const messages = container.children.flatMap(({ message }) => (message ? [message] : []));
  return messages.sort(earlier)[0];
}

/** Epoch milliseconds of the last message of a thread. */
function latest(root: Container): number {
  let last = Number.NEGATIVE_INFINITY;
  const waiting = [root];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    last = Math.max(last, next.message?.sentAt ?? Number.NEGATIVE_INFINITY);
    waiting.push(...next.children);
  }
  return last;
}

/** Children sorted; built from the leaves up, for a thread may be deeper than the stack. */
function nodeOf(root: Container): ThreadNode {
  const order: Container[] = [];
  const waiting = [root];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    order.push(next);
    waiting.push(...next.children);
  }
  const nodes = new Map<Container, ThreadNode>();
  for (const container of order.reverse()) {
    const children = container.children.toSorted(byDate).map((child) => nodes.get(child)!);
    nodes.set(container, { ...(container.message && { uid: container.message.uid }), children });
  }
  return nodes.get(root)!;
}
