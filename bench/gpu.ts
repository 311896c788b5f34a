/**
 * `npm run bench:gpu`: checks and measures an NVIDIA GPU in steps, each in a process of its own. The results are written after each row, so a run that breaks
 * off goes on where it was. `--device cpu --tiny` tries the command itself. bench/README.md has the options.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { RESULTS_FOLDER } from './results.ts';
import { type GpuFacts, gpuFacts } from './gpu/gpu-facts.ts';
import { cudaEnvironment } from './gpu/libraries.ts';
import { type GpuOptions, readOptions } from './gpu/options.ts';
import { writePack } from './gpu/pack.ts';
import { planSteps } from './gpu/plan.ts';
import { ResultsFile } from './gpu/results-file.ts';
import { runPlan } from './gpu/run-plan.ts';
import { resultsText, stateLine, stepText } from './gpu/table.ts';
import type { Step, StepResult } from './gpu/step.ts';
import { VERSION } from '../src/version.ts';

try {
  await main(readOptions(process.argv.slice(2)));
} catch (error) {
  console.error(`bench:gpu: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}

async function main(options: GpuOptions): Promise<void> {
  if (options.pack !== undefined) return await writePack(options.pack, options);
  const steps = planSteps(options);
  if (options.list) return list(steps);
  const startMs = performance.now();
  const gpu = options.device === 'cpu' ? undefined : requireGpu(options.device);
  const file = openResults(options, gpu);
  mkdirSync(options.workFolder, { recursive: true });
  const environment = {
    ...process.env,
    // Tokenizers lie below it.
    XDG_CACHE_HOME: options.workFolder,
    ...(gpu === undefined ? {} : await cudaEnvironment(options)),
  };
  const { device, isTiny, workFolder, python } = options;
  await runPlan(steps, {
    file,
    surroundings: { device, isTiny, workFolder, ...(python === undefined ? {} : { python }) },
    environment,
    deadlineMs: startMs + options.minutes * 60_000,
    onStep: say,
    // What a failed step printed says more than its reason.
    onError: (text) => appendFileSync(`${file.path}.log`, text),
  });
  console.log(`\n${resultsText(file.results)}\n\nThe results are in ${file.path}.`);
  if (steps.some(({ id }) => file.of(id)?.state === 'failed')) process.exitCode = 1;
}

function list(steps: readonly Step[]): void {
  for (const { id, part, about, needsSeconds } of steps)
    console.log(`(${part}) ${id.padEnd(26)} ${String(needsSeconds).padStart(4)} s  ${about}`);
}

function requireGpu(device: string): GpuFacts {
  const facts = gpuFacts(device);
  if (facts === undefined)
    throw new Error(
      `nvidia-smi tells of no GPU ${device}; install a driver, or try the command with --device cpu --tiny`,
    );
  return facts;
}

function openResults({ output, device, isTiny, workFolder }: GpuOptions, gpu: GpuFacts | undefined): ResultsFile {
  const name = `${(gpu?.name ?? device).toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}${isTiny ? '-tiny' : ''}`;
  // Only real measurements of a GPU become part of the pages.
  const folder = gpu === undefined || isTiny ? workFolder : RESULTS_FOLDER;
  const manifest = createRequire(import.meta.url)('onnxruntime-node/package.json') as { readonly version: string };
  return new ResultsFile(output ?? join(folder, `gpu-${name}.json`), {
    device,
    isTiny,
    ...(gpu === undefined ? {} : { gpu }),
    versions: { text2img: VERSION, 'onnxruntime-node': manifest.version },
  });
}

function say(step: Step, result: StepResult): void {
  if (result.state === 'running') console.log(`(${step.part}) ${step.id}: begins, about ${step.needsSeconds} s`);
  else console.log(result.rows.length === 0 ? stateLine(step.id, result) : stepText(step.id, result));
}
