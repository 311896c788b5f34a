/** `jobs list` as people read it: with headings, aligned, within the terminal's width; plain columns elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobTable } from '../../src/cli/job-table.ts';
import type { JobSummary } from '../../src/queue/prompt-queue.ts';

const NOW_MS = Date.parse('2026-11-25T12:00:00Z');
const at = (secondsAgo: number): Date => new Date(NOW_MS - secondsAgo * 1000);

const JOBS: readonly JobSummary[] = [
  { id: '6b07020e60e1a2b3c4d5e6f7', status: 'pending', text: 'a fox', priority: 0, attempts: 0, enqueuedAt: at(42) },
  {
    id: '6b07020e60e1a2b3c4d5e6f6',
    status: 'processing',
    text: `a cat ${'that sleeps '.repeat(20)}\u001b[2J`,
    priority: 0,
    attempts: 2,
    progress: { step: 3, steps: 20 },
    worker: 'a-very-long-host-name.example.com:1234',
    enqueuedAt: at(7500),
    startedAt: at(131),
  },
  {
    id: '6b07020e60e1a2b3c4d5e6f5',
    status: 'error',
    text: 'a dog',
    priority: 0,
    attempts: 1,
    worker: 'host:1',
    enqueuedAt: at(3 * 86_400),
    startedAt: at(100),
    finishedAt: at(95.5),
    error: `invalid_parameter: "width" is 100000. ${'x'.repeat(300)}`,
  },
];

test('on a terminal of 80 columns no line is longer, the columns are aligned, and an error stands below its job', () => {
  const lines = jobTable(JOBS, { width: 80, isFirst: true, nowMs: NOW_MS });
  assert.equal(lines.length, 5);
  for (const line of lines) assert.ok(line.length < 80, line);
  const [heading = '', fox = '', cat = '', dog = '', error = ''] = lines;
  assert.match(heading, /^ID +STATUS +AGE +TRIED +TOOK +WORKER +PROMPT$/);
  for (const [row, age, took] of [
    [fox, '42 s', ''],
    [cat, '2 h', '2 min'],
    [dog, '3 d', '4.5 s'],
  ] as const) {
    assert.equal(row.slice(heading.indexOf('AGE'), heading.indexOf('TRIED')).trim(), age);
    assert.equal(row.slice(heading.indexOf('TOOK'), heading.indexOf('WORKER')).trim(), took);
  }
  for (const [index, row] of [fox, cat, dog].entries())
    assert.ok(row.startsWith(`${JOBS[index]?.id} `), 'an id is whole, since cancel and retry need it whole');
  assert.match(cat, /step 3\/20 .*a-very-.*…  a cat .*…$/);
  assert.match(error, /^ {2}invalid_parameter: "width" is 100000\. x+…$/);
});

test('without a terminal a job is one line, and a later page has no headings', () => {
  const lines = jobTable(JOBS, { width: undefined, isFirst: false, nowMs: NOW_MS });
  assert.equal(lines.length, 3);
  assert.match(lines[2] ?? '', /error .* host:1 .* a dog .* invalid_parameter: "width" is 100000\./);
  assert.ok(!lines.join('').includes('\u001b'));
});

test('columns that say nothing of any job are left out', () => {
  const [heading] = jobTable(JOBS.slice(0, 1), { width: 80, isFirst: true, nowMs: NOW_MS });
  assert.match(heading ?? '', /^ID +STATUS +AGE +PROMPT$/);
});
