"""Draws the golden cases with diffusers' StableDiffusionPipeline: float32 on the CPU, one torch.Generator per image, seeded seed + k.

    python reference/make_golden_cases.py --bpe bpe_simple_vocab_16e6.txt.gz

writes test/golden/base (one whole checkpoint) and test/golden/<case>: case.json (the request in wire names, what the case is about),
checkpoint/ (only the files that differ from the base) and expected-1.png …. What each file means: test/golden/README.md.
"""
import same_arithmetic  # noqa: F401, I001 (before torch)

import argparse
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from golden_checkpoint import (
    MODEL_INDEX,
    SCHEDULER,
    TEXT_ENCODER,
    UNET,
    VAE,
    make_text_encoder,
    make_unet,
    make_vae,
    old_attention_names,
    save_weights,
    text_model_prefix,
    write_clip_tokenizer,
    write_json,
)
from golden_requests import CASES, DEFAULTS
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent / "test" / "golden"
DEMO_TOKENIZER = ROOT.parent.parent / "models" / "demo" / "tokenizer"
SCHEDULERS = {
    "DDIMScheduler": (DDIMScheduler, {}),
    "PNDMScheduler": (PNDMScheduler, {}),
    "EulerDiscreteScheduler": (EulerDiscreteScheduler, {}),
    "EulerAncestralDiscreteScheduler": (EulerAncestralDiscreteScheduler, {}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"use_karras_sigmas": False}),
    "dpmpp_2m_karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
UNET_FILE = "diffusion_pytorch_model.safetensors"


def write_base(bpe_file: Path) -> None:
    base = ROOT / "base"
    shutil.rmtree(base, ignore_errors=True)
    write_json(base / "model_index.json", MODEL_INDEX)
    write_json(base / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(base / "unet" / "config.json", UNET)
    save_weights(base / "unet" / UNET_FILE, make_unet(UNET).state_dict(), torch.float32)
    write_json(base / "vae" / "config.json", VAE)
    save_weights(base / "vae" / UNET_FILE, make_vae(VAE).state_dict(), torch.float32)
    write_json(base / "text_encoder" / "config.json", TEXT_ENCODER)
    save_weights(base / "text_encoder" / "model.safetensors", text_model_prefix(make_text_encoder(TEXT_ENCODER).state_dict()))
    write_clip_tokenizer(base / "tokenizer", bpe_file)


def write_overlay(folder: Path, case: dict) -> None:
    """The files of the case's checkpoint that are not the base's."""
    checkpoint = folder / "checkpoint"
    if "scheduler_config" in case:
        config = case["scheduler_config"]
        write_json(checkpoint / "scheduler" / "scheduler_config.json", config)
        write_json(checkpoint / "model_index.json", {**MODEL_INDEX, "scheduler": ["diffusers", config["_class_name"]]})
        # The class is the index's; the one in the scheduler's own file is not looked at.
        index = {**MODEL_INDEX, "scheduler": ["diffusers", case["scheduler_config"]["_class_name"]]}
        write_json(checkpoint / "model_index.json", index)
    if "unet_config" in case:
        write_json(checkpoint / "unet" / "config.json", {**UNET, **case["unet_config"]})
    if "vae_config" in case:
        write_json(checkpoint / "vae" / "config.json", {**VAE, **case["vae_config"]})
    if "text_encoder_config" in case:
        write_json(checkpoint / "text_encoder" / "config.json", {**TEXT_ENCODER, **case["text_encoder_config"]})
    if case.get("unet_weights"):
        save_weights(checkpoint / "unet" / UNET_FILE, make_unet({**UNET, **case.get("unet_config", {})}).state_dict())
    if case.get("vae_weights"):
        save_weights(checkpoint / "vae" / UNET_FILE, make_vae({**VAE, **case.get("vae_config", {})}).state_dict())
    if case.get("old_attention_names"):
        save_weights(checkpoint / "vae" / UNET_FILE, old_attention_names(make_vae(VAE).state_dict()))
    if case.get("small_vocabulary"):
        shutil.copytree(DEMO_TOKENIZER, checkpoint / "tokenizer")
        config = {**TEXT_ENCODER, **case["text_encoder_config"]}
        save_weights(checkpoint / "text_encoder" / "model.safetensors", make_text_encoder(config).state_dict(), torch.float32)
    if case.get("fp16_variant"):
        save_weights(checkpoint / "unet" / "diffusion_pytorch_model.fp16.safetensors", make_unet(UNET).state_dict())
    if case.get("sharded"):
        make_unet(UNET).half().save_pretrained(checkpoint / "unet", max_shard_size="120KB")
        (checkpoint / "unet" / "config.json").unlink()


def assemble(case_folder: Path, remove: list, target: Path) -> Path:
    shutil.copytree(ROOT / "base", target)
    for name in remove:
        (target / name).unlink()
    if (case_folder / "checkpoint").exists():
        shutil.copytree(case_folder / "checkpoint", target, dirs_exist_ok=True)
    return target


def load(folder: Path, case: dict) -> StableDiffusionPipeline:
    variant = "fp16" if case.get("fp16_variant") else None
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", variant=variant, torch_dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    pipe = StableDiffusionPipeline.from_pretrained(
        folder, unet=unet, vae=vae, safety_checker=None, feature_extractor=None, torch_dtype=torch.float32, local_files_only=True
    )
    for module in (pipe.unet, pipe.vae, pipe.text_encoder):
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    pipe.set_progress_bar_config(disable=True)
    if case.get("vae_tiling"):
        pipe.vae.enable_tiling()
    return pipe


def draw(pipe: StableDiffusionPipeline, request: dict) -> list:
    if "scheduler" in request:
        scheduler_class, settings = SCHEDULERS[request["scheduler"]]
        pipe.scheduler = scheduler_class.from_config(pipe.scheduler.config, **settings)
    images = pipe(
        prompt=request["text"],
        negative_prompt=request.get("negative_prompt"),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        width=request["width"],
        height=request["height"],
        num_images_per_prompt=request["num_images"],
        generator=[torch.Generator().manual_seed(request["seed"] + k) for k in range(request["num_images"])],
        output_type="np",
    ).images
    return [np.round(image * 255).astype(np.uint8) for image in images]


def make_case(name: str, case: dict, reference: np.ndarray | None) -> np.ndarray:
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_overlay(folder, case)
    remove = case.get("remove", [])
    request = {**DEFAULTS, **case.get("request", {})}
    with tempfile.TemporaryDirectory() as temporary:
        pipe = load(assemble(folder, remove, Path(temporary) / "checkpoint"), case)
        images = draw(pipe, request)
    expected = [f"expected-{k + 1}.png" for k in range(len(images))]
    for file, image in zip(expected, images):
        Image.fromarray(image).save(folder / file, optimize=True)
    record = {"about": case["about"], "request": request, "expected": expected}
    if remove:
        record["remove"] = remove
    if case.get("vae_tiling"):
        record["vae_tiling"] = True
    if case.get("same_as_plain"):
        record["same_as"] = "plain"
    write_json(folder / "case.json", record)
    report(name, images, reference, case)
    return images[0]


def report(name: str, images: list, reference: np.ndarray | None, case: dict) -> None:
    """A case proves something only if its picture has contrast and differs from the plain one."""
    first = images[0]
    difference = "-"
    if reference is not None and reference.shape == first.shape:
        difference = int(np.abs(first.astype(int) - reference.astype(int)).max())
        assert (difference <= 1) if case.get("same_as_plain") else (difference >= 8), f"{name}: differs from plain by {difference}"
    print(f"{name:32} std {first.std():5.1f}  black {np.mean(first == 0):.2f} white {np.mean(first == 255):.2f}  max difference from plain {difference}", flush=True)
    assert first.std() > 30, f"{name} is too flat"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bpe", type=Path, required=True, help="bpe_simple_vocab_16e6.txt.gz out of the open_clip_torch wheel")
    parser.add_argument("--only", nargs="*", help="make these cases again and keep the base")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if not arguments.only:
        write_base(arguments.bpe)
    plain = make_case("plain", CASES["plain"], None)
    for name, case in CASES.items():
        if name != "plain" and (not arguments.only or name in arguments.only):
            make_case(name, case, plain)


if __name__ == "__main__":
    main()
