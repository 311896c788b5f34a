/** Writes docs/errors.md from the table of error codes: `node scripts/write-error-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { ERROR_CODES, EXIT_CODE_OF_FAULT } from '../src/errors/error-codes.ts';

const rows = Object.entries(ERROR_CODES).map(
  ([code, { fault, consequence, meaning }]) =>
    `| \`${code}\` | ${fault} | ${EXIT_CODE_OF_FAULT[fault]} | ${consequence} | ${meaning} |`,
);

const page = `# Error codes

Every error that text2img reports has one of these codes. They are stable: scripts may match on them.
A prompt document that ends in \`error\` holds its code in \`error\`; a command that fails prints it and exits with the number below.
"consequence" says what follows for a prompt that meets it: \`fail\` ends it, \`retry\` makes another attempt, \`retry-alone\` one without others in the same
batch, and \`give-back\` gives it back without counting the attempt, because the trouble is the environment's: the worker stops claiming until it is over.

| code | fault | exit code | consequence | meaning |
|---|---|---|---|---|
${rows.join('\n')}

Other exit codes: 0 done (documents that ended in \`error\` included, unless \`--fail-on-error\`, which gives 3), 128 + n after a
second signal n. A graceful SIGTERM or SIGINT exits with 0.
`;

await writeFile(new URL('../docs/errors.md', import.meta.url), page);
