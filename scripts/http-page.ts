/** The text of docs/http-api.md, from the route records of the doors. */
import { DOORS } from '../src/http/doors.ts';
import { describeDoors } from '../src/http/openapi/describe-doors.ts';
import { ERROR_STATUSES } from '../src/http/openapi/openapi-document.ts';
import type { DoorDescription, ParameterRecord, RouteRecord } from '../src/http/openapi/route-record.ts';
import { DEFAULT_LIMITS } from '../src/job/limits.ts';

export function httpPage(): string {
  const doors = describeDoors(DOORS, DEFAULT_LIMITS);
  return `# HTTP routes

This page is written by \`npx node scripts/write-http-page.ts\` from the records that also make \`/openapi.json\`, the OpenAPI 3.1 document of a running
server. [http.md](http.md) says how to use them; [requests.md](requests.md) has the fields of a prompt, and [errors.md](errors.md) the error codes.

${doors.map(doorText).join('\n')}
## Statuses of errors

| status | when |
|---|---|
${Object.entries(ERROR_STATUSES)
  .map(([status, meaning]) => `| ${status} | ${meaning} |`)
  .join('\n')}
`;
}

function doorText({ title, description, routes, error }: DoorDescription): string {
  const overview = routes.map(({ method, path, summary }) => `| \`${method.toUpperCase()} ${path}\` | ${summary}. |`);
  return `## ${title}

${description} Errors are \`${error.contentType}\`.

| route | meaning |
|---|---|
${overview.join('\n')}

${routes.filter(needsText).map(routeText).join('\n')}`;
}

function needsText({ description, parameters = [], body }: RouteRecord): boolean {
  return description !== undefined || body !== undefined || parameters.some((one) => one.in !== 'path');
}

function routeText(route: RouteRecord): string {
  const { method, path, description, parameters = [], body, answers, errors } = route;
  const lines = [
    ...(description === undefined ? [] : [description, '']),
    ...parameters.filter((one) => one.in !== 'path').map(parameterText),
    ...(body === undefined ? [] : [`- body (\`${Object.keys(body.content).join('`, `')}\`): ${body.description}`]),
    ...Object.entries(answers).map(([status, answer]) => `- ${status}: ${answer.description}`),
    `- errors: ${[...new Set(errors)].toSorted((a, b) => a - b).join(', ')}`,
  ];
  return `### \`${method.toUpperCase()} ${path}\`

${lines.join('\n')}
`;
}

function parameterText({ name, in: place, description, isRequired }: ParameterRecord): string {
  return `- \`${name}\` (${place}${isRequired === true ? ', required' : ''}): ${description}`;
}
