"""Median seconds of a UNet pass of a full shape in diffusers, float32, eager. Usage: diffusers-unet-pass.py sd15|sdxl THREADS PASSES"""
import sys
import time

import torch
from diffusers import UNet2DConditionModel

SHAPES = {
    "sd15": dict(attention_head_dim=8, cross_attention_dim=768, sample_size=64),
    "sdxl": dict(
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        attention_head_dim=[5, 10, 20],
        block_out_channels=[320, 640, 1280],
        cross_attention_dim=2048,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        projection_class_embeddings_input_dim=2816,
        sample_size=128,
        transformer_layers_per_block=[1, 2, 10],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        use_linear_projection=True,
    ),
}
shape = SHAPES[sys.argv[1]]
latents = shape["sample_size"]
torch.set_num_threads(int(sys.argv[2]))
torch.set_grad_enabled(False)
unet = UNet2DConditionModel(**shape).eval()
arguments = torch.randn(1, 4, latents, latents), torch.tensor(500), torch.randn(1, 77, shape["cross_attention_dim"])
pixels = 8.0 * latents
added = {"text_embeds": torch.randn(1, 1280), "time_ids": torch.tensor([[pixels, pixels, 0.0, 0.0, pixels, pixels]])}
keywords = {"added_cond_kwargs": added} if "addition_embed_type" in shape else {}
unet(*arguments, **keywords)
seconds = []
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    unet(*arguments, **keywords)
    seconds.append(time.perf_counter() - start)
print(sorted(seconds)[len(seconds) // 2])
