/** Writes docs/errors.md from the table of error codes: `node scripts/write-error-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { ERROR_CODES, EXIT_CODE_OF_FAULT } from '../src/errors/error-codes.ts';

const rows = Object.entries(ERROR_CODES).map(
  ([code, { fault, retryable, meaning }]) =>
    `| \`${code}\` | ${fault} | ${EXIT_CODE_OF_FAULT[fault]} | ${retryable ? 'yes' : 'no'} | ${meaning} |`,
);

const page = `# Error codes

Every error that text2img reports has one of these codes. They are stable: scripts may match on them.
A prompt document that ends in \`error\` holds its code in \`error\`; a command that fails prints it and exits with the number below.
Faults of the request or of the model are never retried; "retry" says whether the service tries the rest again by itself.

| code | fault | exit code | retry | meaning |
|---|---|---|---|---|
${rows.join('\n')}

Other exit codes: 0 done (documents that ended in \`error\` included, unless \`--fail-on-error\`, which gives 3), 128 + n after a
second signal n. A graceful SIGTERM or SIGINT exits with 0.
`;

await writeFile(new URL('../docs/errors.md', import.meta.url), page);
