/** Writes docs/errors.md from the table of error codes: `npx node scripts/write-error-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { ERROR_CODES, EXIT_CODE_OF_FAULT } from '../src/errors/error-codes.ts';

const rows = Object.entries(ERROR_CODES).map(
  ([code, { fault, consequence, meaning }]) =>
    `| \`${code}\` | ${fault} | ${EXIT_CODE_OF_FAULT[fault]} | ${consequence} | ${meaning} |`,
);

const page = `# Error codes

Every error of text2img has one of these codes. They are stable, so scripts may match on them.
A job that ends in \`error\` has the code at the start of \`error\`. A command that fails prints it and exits with the number below.

The consequence says what follows for a job that meets the error:

- \`fail\` ends the job.
- \`retry\` makes another attempt after a pause, until \`--max-attempts\` are used up.
- \`retry-alone\` does the same, with no other job in the same batch.
- \`give-back\` is trouble of the environment. The job goes back to the queue, the attempt does not count, and the worker claims nothing until the trouble is over. A store or a disk is
  probed first. If it takes the probe, this job is at fault, and its attempt counts as with \`retry\`.

| code | fault | exit code | consequence | meaning |
|---|---|---|---|---|
${rows.join('\n')}

Other exit codes: 0 done (documents that ended in \`error\` included, unless \`--fail-on-error\`, which gives 3), 128 + n after a
second signal n. A graceful SIGTERM or SIGINT exits with 0.
`;

await writeFile(new URL('../docs/errors.md', import.meta.url), page);
