"""Median seconds of a UNet pass of the SD 1.5 shape in diffusers, float32, eager. Usage: diffusers-unet-pass.py THREADS PASSES"""
import sys
import time

import torch
from diffusers import UNet2DConditionModel

torch.set_num_threads(int(sys.argv[1]))
torch.set_grad_enabled(False)
unet = UNet2DConditionModel(attention_head_dim=8, cross_attention_dim=768, sample_size=64).eval()
arguments = torch.randn(1, 4, 64, 64), torch.tensor(500), torch.randn(1, 77, 768)
unet(*arguments)
seconds = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    unet(*arguments)
    seconds.append(time.perf_counter() - start)
print(sorted(seconds)[len(seconds) // 2])
