/** The text of docs/metrics.md, from the table of metrics. */
import { METRICS, type MetricSpec } from '../src/observability/metrics-table.ts';

export function metricsPage(): string {
  return `# Metrics

This page is written by \`npx node scripts/write-metrics-page.ts\` from \`src/observability/metrics-table.ts\`.

\`\`\`sh
text2img run --watch --metrics-port 9464     # http://127.0.0.1:9464/metrics
text2img serve                               # http://127.0.0.1:7860/metrics
\`\`\`

Both answer in the text format of Prometheus. \`--metrics-port\` opens a listener of its own, for \`run\` and for \`serve\`. It asks for no key, so it listens on
this machine only. \`--metrics-host 0.0.0.0\` opens it to others. The \`/metrics\` of \`serve\` asks for a key where the server has keys.

\`\`\`yaml
scrape_configs:
  - job_name: text2img
    static_configs: [{ targets: ["127.0.0.1:9464"] }]
\`\`\`

Each process counts what it did itself since it started. Scrape every worker and every server, and add them up. The metrics of the queue are the same from everywhere:
take \`max\`, not \`sum\`.

| metric | kind | labels | meaning |
|---|---|---|---|
${Object.values<MetricSpec>(METRICS).map(rowOf).join('\n')}

\`prom-client\` adds its metrics of the process: \`process_…\` (memory, CPU, open files) and \`nodejs_…\` (event loop, heap, garbage collection). The model's memory is in the
engine processes and not among them.

Queries that are often needed:

| question | query |
|---|---|
| steps a second | \`sum(rate(text2img_steps_total[5m]))\` |
| megapixels a second | \`sum(rate(text2img_pixels_total[5m])) / 1e6\` |
| share of jobs that fail | \`sum(rate(text2img_jobs_ended_total{end="error"}[1h])) / sum(rate(text2img_jobs_ended_total[1h]))\` |
| seconds of denoising, 95 % | \`histogram_quantile(0.95, sum by (le) (rate(text2img_stage_seconds_bucket{stage="denoise"}[1h])))\` |
| jobs wait too long | \`max(text2img_queue_oldest_pending_seconds) > 600\` |
| more than 10,000 jobs wait | \`max(text2img_queue_depth_capped) == 1\` |

A scrape takes one bounded look at the queue, however many documents it holds ([why](decisions/metrics.md)). Scrapes within five seconds share it. When the queue cannot
be read, \`text2img_queue_up\` is 0 and the other metrics of the queue are \`NaN\`.
`;
}

function rowOf({ name, kind, help, labels = [] }: MetricSpec): string {
  const named = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${kind} | ${named === '' ? '–' : named} | ${help}. |`;
}
