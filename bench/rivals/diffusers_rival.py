"""diffusers on PyTorch: a UNet pass or a whole image, in float32 or bfloat16, eager or compiled."""
import time

import rival


def measure(task: dict) -> dict:
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
    from transformers import CLIPTokenizer

    import torch_modules

    torch.set_num_threads(task["threads"])
    torch.set_grad_enabled(False)
    shape, dtype = task["shape"], getattr(torch, task["computeType"])
    start = time.perf_counter()
    if task["task"] == "pass":
        unet = torch_modules.random_unet(shape, dtype)
        run = pass_of(unet, shape, dtype)
    else:
        modules = torch_modules.load_modules(shape, task["checkpoint"], dtype)
        unet = modules["unet"]
        tokenizer = CLIPTokenizer.from_pretrained(task["tokenizer"])
        scheduler = EulerDiscreteScheduler(**torch_modules.SCHEDULER)
        if shape == "sdxl":
            pipeline = StableDiffusionXLPipeline(**modules, tokenizer=tokenizer, tokenizer_2=tokenizer, scheduler=scheduler, add_watermarker=False)
        else:
            pipeline = StableDiffusionPipeline(
                **modules, tokenizer=tokenizer, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
            )
        pipeline.set_progress_bar_config(disable=True)
        run = image_of(pipeline, task)
    if task.get("isCompiled"):
        unet.compile()
        run(**({} if task["task"] == "pass" else {"steps": 1}))
    load = time.perf_counter() - start
    return {"loadSeconds": load, "seconds": rival.repeat(task["count"], task["task"] == "pass", run)}


def pass_of(unet, shape: str, dtype):
    import torch

    latents, width = unet.config.sample_size, unet.config.cross_attention_dim
    sample, text = torch.randn(1, 4, latents, latents, dtype=dtype), torch.randn(1, 77, width, dtype=dtype)
    pixels = 8.0 * latents
    added = {
        "text_embeds": torch.randn(1, 1280, dtype=dtype),
        "time_ids": torch.tensor([[pixels, pixels, 0.0, 0.0, pixels, pixels]], dtype=dtype),
    }
    keywords = {"added_cond_kwargs": added} if shape == "sdxl" else {}
    return lambda: unet(sample, torch.tensor(500), text, **keywords)


def image_of(pipeline, task: dict):
    import torch

    size = task["sizePx"]

    def run(steps: int = task["steps"]):
        return pipeline(
            task["prompt"],
            negative_prompt=task["negativePrompt"],
            num_inference_steps=steps,
            guidance_scale=task["guidanceScale"],
            width=size,
            height=size,
            generator=torch.Generator().manual_seed(1),
        ).images[0]

    return run


if __name__ == "__main__":
    rival.main(measure, ("diffusers", "torch", "transformers"))
