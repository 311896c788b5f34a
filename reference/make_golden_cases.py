"""Draws the golden cases with diffusers' pipelines: float32 on the CPU, one torch.Generator per image, seeded seed + k.

    python reference/make_golden_cases.py --bpe bpe_simple_vocab_16e6.txt.gz

writes test/golden/base… (whole checkpoints) and test/golden/<case>: case.json (the request in wire names, what the case is about),
checkpoint/ (only the files that differ from the base) and expected-1.png …. What each file means: test/golden/README.md.
"""
import same_arithmetic  # noqa: F401, I001 (before torch)

import argparse
import logging
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.callbacks import SDCFGCutoffCallback, SDXLCFGCutoffCallback
from golden_checkpoint import (
    make_text_encoder,
    make_unet,
    make_vae,
    old_attention_names,
    save_weights,
    text_model_prefix,
    write_clip_tokenizer,
    write_json,
)
from golden_deep_cache import DEEP_CACHE_CASES
from golden_families import BASES, Base
from golden_family_requests import FAMILY_CASES
from golden_known_checkpoints import KNOWN_CASES
from golden_requests import CASES, DEFAULTS
from golden_schedulers import settings_of
from golden_stability import LARGEST_MOVE, largest_move
from DeepCache import DeepCacheSDHelper
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent / "test" / "golden"
DEMO_TOKENIZER = ROOT.parent.parent / "models" / "demo" / "tokenizer"
UNET_FILE = "diffusion_pytorch_model.safetensors"
ALL_CASES = {**CASES, **FAMILY_CASES, **KNOWN_CASES, **DEEP_CACHE_CASES}
# How diffusers' pipelines call the fields whose name differs.
ARGUMENTS = {"text": "prompt", "num_images": "num_images_per_prompt"}
NO_ARGUMENTS = ("scheduler", "schedule_type", "seed", "deep_cache", "deep_cache_branch")


def write_base(name: str, bpe_file: Path) -> None:
    base, folder = BASES[name], ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    # The oldest base stays as it is: its UNet and VAE are float32.
    dtype = torch.float32 if name == "base" else torch.float16
    write_json(folder / "model_index.json", base.index)
    write_json(folder / "scheduler" / "scheduler_config.json", base.scheduler)
    write_json(folder / "unet" / "config.json", base.unet)
    save_weights(folder / "unet" / UNET_FILE, make_unet(base.unet).state_dict(), dtype)
    write_json(folder / "vae" / "config.json", base.vae)
    save_weights(folder / "vae" / UNET_FILE, make_vae(base.vae).state_dict(), dtype)
    for seed, (component, config) in enumerate(base.text_encoders.items(), start=1):
        write_json(folder / component / "config.json", config)
        save_weights(folder / component / "model.safetensors", text_model_prefix(make_text_encoder(config, seed).state_dict()))
    for component, pad_token in base.tokenizers.items():
        write_clip_tokenizer(folder / component, bpe_file, base.merges, pad_token)


def write_overlay(folder: Path, case: dict, base: Base) -> None:
    """The files of the case's checkpoint that are not the base's."""
    checkpoint = folder / "checkpoint"
    index = {**base.index, **case.get("index", {})}
    unet, vae = {**base.unet, **case.get("unet_config", {})}, {**base.vae, **case.get("vae_config", {})}
    if "scheduler_config" in case:
        config = case["scheduler_config"]
        write_json(checkpoint / "scheduler" / "scheduler_config.json", config)
        # The class is the index's; the one in the scheduler's own file is not looked at.
        index["scheduler"] = case.get("index", {}).get("scheduler", ["diffusers", config["_class_name"]])
    index["vae"] = ["diffusers", vae["_class_name"]]
    if index != base.index or "scheduler_config" in case:
        write_json(checkpoint / "model_index.json", index)
    if "unet_config" in case:
        write_json(checkpoint / "unet" / "config.json", unet)
    if "vae_config" in case:
        write_json(checkpoint / "vae" / "config.json", vae)
    if "text_encoder_config" in case:
        write_json(checkpoint / "text_encoder" / "config.json", {**base.text_encoders["text_encoder"], **case["text_encoder_config"]})
    if case.get("unet_weights"):
        save_weights(checkpoint / "unet" / UNET_FILE, make_unet(unet).state_dict())
    if case.get("vae_weights"):
        save_weights(checkpoint / "vae" / UNET_FILE, make_vae(vae).state_dict())
    if case.get("old_attention_names"):
        save_weights(checkpoint / "vae" / UNET_FILE, old_attention_names(make_vae(base.vae).state_dict()))
    if case.get("small_vocabulary"):
        shutil.copytree(DEMO_TOKENIZER, checkpoint / "tokenizer")
        config = {**base.text_encoders["text_encoder"], **case["text_encoder_config"]}
        save_weights(checkpoint / "text_encoder" / "model.safetensors", make_text_encoder(config).state_dict(), torch.float32)
    if case.get("fp16_variant"):
        save_weights(checkpoint / "unet" / "diffusion_pytorch_model.fp16.safetensors", make_unet(base.unet).state_dict())
    if case.get("sharded"):
        make_unet(base.unet).half().save_pretrained(checkpoint / "unet", max_shard_size="120KB")
        (checkpoint / "unet" / "config.json").unlink()


def assemble(name: str, case: dict, target: Path) -> Path:
    shutil.copytree(ROOT / case.get("base", "base"), target)
    for file in case.get("remove", []):
        (target / file).unlink()
    if (ROOT / name / "checkpoint").exists():
        shutil.copytree(ROOT / name / "checkpoint", target, dirs_exist_ok=True)
    return target


def load(folder: Path, case: dict, base: Base) -> diffusers.DiffusionPipeline:
    variant = "fp16" if case.get("fp16_variant") else None
    vae_class = getattr(diffusers, case.get("vae_config", {}).get("_class_name", base.vae["_class_name"]))
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", variant=variant, torch_dtype=torch.float32)
    vae = vae_class.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    # The checkpoint of another task is read as a user of diffusers reads it for text-to-image.
    is_other_task = "_class_name" in case.get("index", {})
    pipeline_class = diffusers.AutoPipelineForText2Image if is_other_task else getattr(diffusers, base.pipeline)
    pipe = pipeline_class.from_pretrained(folder, unet=unet, vae=vae, **base.load, torch_dtype=torch.float32, local_files_only=True)
    for module in (component for component in pipe.components.values() if isinstance(component, torch.nn.Module)):
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    assert type(pipe).__name__ == base.pipeline
    pipe.set_progress_bar_config(disable=True)
    if case.get("vae_tiling"):
        pipe.vae.enable_tiling()
    # diffusers 0.42.1 looks for the last norm where transformers 4 had it: clip_skip of 1.x and 2.x fails with transformers 5 without this.
    pipe.text_encoder.__dict__["text_model"] = pipe.text_encoder
    return pipe


def draw_all(pipe: diffusers.DiffusionPipeline, request: dict) -> list:
    """Numbers from 0 to 255, not rounded.

    Brownian noise has one seed for a whole batch in diffusers, and the callback that ends guidance keeps one prompt of a batch. Such images are drawn alone.
    """
    if request.get("scheduler") != "DPMSolverSDEScheduler" and "guidance_stop" not in request:
        return draw(pipe, request)
    own = pipe.scheduler
    images = []
    for k in range(request["num_images"]):
        pipe.scheduler = own
        images += draw(pipe, {**request, "seed": request["seed"] + k, "num_images": 1})
    return images


@contextmanager
def cached_features(pipe: diffusers.DiffusionPipeline, request: dict):
    """The published method, by its own package."""
    if "deep_cache" not in request:
        yield
        return
    has_middle = pipe.unet.mid_block is not None
    if not has_middle:
        # The package wraps the middle block of every UNet.
        pipe.unet.mid_block = NoBlock()
    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=request["deep_cache"], cache_branch_id=request.get("deep_cache_branch", 0))
    helper.enable()
    yield
    helper.disable()
    if not has_middle:
        pipe.unet.mid_block = None


class NoBlock(torch.nn.Module):
    def forward(self, sample: torch.Tensor, *_: object) -> torch.Tensor:
        return sample


def draw(pipe: diffusers.DiffusionPipeline, request: dict) -> list:
    arguments = {ARGUMENTS.get(name, name): value for name, value in request.items() if name not in NO_ARGUMENTS}
    for name in ("original_size", "crops_coords_top_left", "target_size"):
        for pair in (name, f"negative_{name}"):
            if pair in arguments:
                arguments[pair] = tuple(arguments[pair])
    if "guidance_stop" in arguments:
        cutoff = SDXLCFGCutoffCallback if isinstance(pipe, diffusers.StableDiffusionXLPipeline) else SDCFGCutoffCallback
        arguments["callback_on_step_end"] = cutoff(cutoff_step_ratio=float(arguments.pop("guidance_stop")))
    if "scheduler" in request:
        scheduler_class, settings = settings_of(request)
        pipe.scheduler = scheduler_class.from_config(pipe.scheduler.config, **settings)
    if "sigmas" in arguments:
        # A request's sigmas end before 0. diffusers takes the last of its list as the end of the loop, not as the start of a pass.
        arguments["sigmas"] = [*arguments["sigmas"], 0.0]
    with cached_features(pipe, request):
        images = pipe(
            **arguments,
            generator=[torch.Generator().manual_seed(request["seed"] + k) for k in range(request.get("num_images", 1))],
            output_type="np",
        ).images
    return [image * 255 for image in images]


def record_of(case: dict, request: dict, expected: list) -> dict:
    record = {"about": case["about"], "request": request, "expected": expected}
    if "base" in case:
        record = {"about": case["about"], "base": case["base"], "request": request, "expected": expected}
    if case.get("remove"):
        record["remove"] = case["remove"]
    if case.get("vae_tiling"):
        record["vae_tiling"] = True
    same_as = case.get("same_as", "plain" if case.get("same_as_plain") else None)
    if same_as is not None:
        record["same_as"] = same_as
    return record


def make_case(name: str, case: dict) -> None:
    folder, base = ROOT / name, BASES[case.get("base", "base")]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_overlay(folder, case, base)
    request = {key: value for key, value in {**DEFAULTS, **case.get("request", {})}.items() if value is not None}
    with tempfile.TemporaryDirectory() as temporary:
        pipe = load(assemble(name, case, Path(temporary) / "checkpoint"), case, base)
        own = pipe.scheduler

        def drawn(changed: dict) -> list:
            pipe.scheduler = own
            return draw_all(pipe, changed)

        exact = drawn(request)
        images = [to_bytes(image) for image in exact]
        if "deep_cache" in request:
            whole = {key: value for key, value in request.items() if not key.startswith("deep_cache")}
            prove_caching(name, images[0], to_bytes(drawn(whole)[0]))
        move = largest_move(pipe, lambda: drawn(request), exact)
    expected = [f"expected-{k + 1}.png" for k in range(len(images))]
    for file, image in zip(expected, images):
        Image.fromarray(image).save(folder / file, optimize=True)
    record = record_of(case, request, expected)
    write_json(folder / "case.json", record)
    report(name, images[0], record.get("same_as"), case, move)


def to_bytes(image: np.ndarray) -> np.ndarray:
    return np.round(image).astype(np.uint8)


def prove_caching(name: str, image: np.ndarray, whole: np.ndarray) -> None:
    difference = int(np.abs(image.astype(int) - whole.astype(int)).max())
    assert difference >= 8, f"{name}: differs by {difference} from what the whole network draws"


def plain_of(case: dict) -> str:
    """The case that draws the base as it is."""
    base = case.get("base", "base")
    return next(name for name, other in ALL_CASES.items() if other.get("base", "base") == base)


def report(name: str, image: np.ndarray, same_as: str | None, case: dict, move: float) -> None:
    """A case proves something only if its picture has contrast, differs from the plain one, and does not hang on rounding."""
    other = same_as or case.get("reference") or plain_of(case)
    reference = np.asarray(Image.open(ROOT / other / "expected-1.png"))
    difference = "-"
    if other != name and reference.shape == image.shape:
        difference = int(np.abs(image.astype(int) - reference.astype(int)).max())
        assert (difference <= 1) if same_as else (difference >= 8), f"{name}: differs from {other} by {difference}"
    print(f"{name:32} std {image.std():5.1f}  black {np.mean(image == 0):.2f} white {np.mean(image == 255):.2f}  max difference from {other}: {difference}  rounding moves it by {move:.3f}", flush=True)
    assert image.std() > 30, f"{name} is too flat"
    assert move <= LARGEST_MOVE, f"{name}: rounding moves it by {move:.2f} of 255, and {LARGEST_MOVE} are allowed: take another seed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bpe", type=Path, required=True, help="bpe_simple_vocab_16e6.txt.gz out of the open_clip_torch wheel")
    parser.add_argument("--only", nargs="*", help="make these cases and bases again and keep the others")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for name in BASES:
        if not arguments.only or name in arguments.only:
            write_base(name, arguments.bpe)
    for name, case in ALL_CASES.items():
        if not arguments.only or name in arguments.only:
            make_case(name, case)


if __name__ == "__main__":
    main()
