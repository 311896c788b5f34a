/** Prints how long the sentences of README, docs/ and help are, and which break a rule: `npx node scripts/measure-prose.ts`. */
import { measureProse, type Passage } from './prose.ts';
import {
  commentPassages,
  helpPassages,
  pagePassages,
  pagesForDevelopers,
  pagesForUsers,
  sourcePassages,
} from './reading-matter.ts';

function report(name: string, passages: readonly Passage[]): void {
  const { sentences, meanWords, long, forbidden } = measureProse(passages);
  console.log(
    `${name}: ${sentences} sentences, ${meanWords.toFixed(1)} words on average, ${long.length} too long, ${forbidden.length} words to replace`,
  );
  if (process.argv.includes('--all')) for (const line of [...long, ...forbidden]) console.log(`  ${line}`);
}

report('README and docs', await pagePassages(await pagesForUsers()));
report('help', helpPassages());
report('errors, logs and advice', await sourcePassages());
report('for developers', await pagePassages(await pagesForDevelopers()));
report('comments', await commentPassages());
