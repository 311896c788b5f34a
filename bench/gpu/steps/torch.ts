/** (i) PyTorch on the same weights and inputs: diffusers' UNet where the Python has diffusers, else the same network in plain PyTorch. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchModel } from '../models.ts';
import { outputsFolder } from '../open-graph.ts';
import { ensureModel } from '../random-model.ts';
import { StepEnds, type TaskOf } from '../step.ts';

const RIVAL = fileURLToPath(new URL('../../rivals/gpu_rival.py', import.meta.url));

/** The Python program prints the messages of a step by itself, on this process's output. */
export async function torchStep(task: TaskOf<'torch'>): Promise<void> {
  const { python, model, isTiny } = task;
  if (python === undefined) throw new StepEnds('not-run', 'no Python with PyTorch was named (--python)');
  const folder = await ensureModel(model, task);
  const { latents } = benchModel(model, isTiny);
  const asked = { ...task, folder, latents, outputs: outputsFolder(model, task) };
  const child = spawn(python, [RIVAL, JSON.stringify(asked)], { stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise((settle) => {
    child.once('error', (error) => settle(error.message));
    child.once('close', settle);
  });
  if (code === 3) throw new StepEnds('not-run', 'this Python has no PyTorch that can use the device');
  if (code !== 0) throw new Error(`${python} ended with ${String(code)}`);
}
