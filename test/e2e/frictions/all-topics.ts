/** Everything that is typed in a place, in the order in which a user meets it. */
import { after } from 'node:test';
import { testChecks } from './checks.ts';
import { examplesOfHelp } from './commands-of.ts';
import { testContributing } from './contributing.ts';
import { testDrawing } from './drawing.ts';
import { testFields } from './fields.ts';
import { HELP_LINES, helpExpectations } from './help-examples.ts';
import { testJobs } from './jobs.ts';
import { startNeighbours } from './neighbours.ts';
import { type Place, README_COMMANDS } from './places.ts';
import { readmeExpectations } from './readme.ts';
import { Shell, SMALL_IMAGES } from './shell.ts';
import { testText } from './texts.ts';
import { testWords } from './words.ts';
import { testWorkers } from './workers.ts';

export async function testAllTopics(place: Place): Promise<void> {
  const neighbours = await startNeighbours();
  after(() => neighbours[Symbol.asyncDispose]());
  const shellFor = (name: string): Shell => new Shell(place, name, { ...SMALL_IMAGES, ...neighbours.environment });
  const help = shellFor('help');
  const printed = await Promise.all(HELP_LINES.map((line) => help.type(line)));
  const examples = printed.flatMap(({ stdout }) => examplesOfHelp(stdout));

  // All tests are made without a pause, or those before it would end the neighbours when they are done.
  testWords(place);
  testDrawing(place);
  testFields(place);
  testChecks(place, neighbours);
  testJobs(place, neighbours);
  testWorkers(place, neighbours);
  if (place.kind === 'clone') testContributing(place);
  testText({ name: 'help', commands: examples, expectations: helpExpectations(place, neighbours) }, help);
  // At last: README also says how to remove the package.
  const expectations = readmeExpectations(neighbours);
  testText({ name: 'README', commands: README_COMMANDS, expectations }, shellFor('readme'));
}
