/** Whether a command or test has the tests and the block that it must have. RFC 5228 section 8.2. */
import type { Use } from './use.ts';

/** Tests and block: there where they must be, and nowhere else. */
export function checkStructure(use: Use): boolean {
  return structureOfTests(use) && structureOfBlock(use);
}

/** Brackets around a single test where one is expected do no harm: RFC 6558 has them in its example. */
function structureOfTests(use: Use): boolean {
  const { node, spec } = use;
  const [first] = node.tests;
  if (!spec.tests) {
    if (!first) return true;
    if (node.testList || use.compiler.known(first.name, 'test'))
      use.error(`the ${use.title} accepts no sub-tests, but tests are specified`);
    else if (use.compiler.tag(spec, first.name))
      use.error(`missing colon ':' before ':${first.name}' tag in ${use.title}`, first.at);
    else use.error(`missing semicolon ';' after ${use.title}`, node.at);
    return false;
  }
  const needs = spec.tests === 'one' ? 'one sub-test' : 'a list of sub-tests';
  const found = !first
    ? 'none is specified'
    : node.testList
      ? 'a list of tests is specified'
      : 'a single test is specified';
  const fits = spec.tests === 'list' ? node.testList : node.tests.length === 1;
  if (!first || !fits) {
    use.error(`the ${use.title} requires ${needs}, but ${found}`);
    return false;
  }
  return true;
}

function structureOfBlock(use: Use): boolean {
  const { node, spec } = use;
  if (spec.kind === 'test') return true;
  if (spec.block === true && !node.block) {
    use.error(`the ${use.title} requires a command block, but it is missing`);
    return false;
  }
  if (spec.block !== true && node.block) {
    use.error(`the ${use.title} does not accept a command block, but one is specified anyway`);
    return false;
  }
  return true;
}
