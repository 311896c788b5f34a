"""Tiny autoencoders in one file, as `--vae` takes them, and what diffusers draws with them: test/vae-files/<case>.

    python reference/make_vae_file_cases.py

Each case has `tensors.json` (names and shapes; the weights follow from them, see original_layout.py), `case.json` (the request, the checkpoint of
test/golden whose autoencoder it replaces, the type of the weights) and `expected-1.png`.
"""
import same_arithmetic  # noqa: F401, I001 (before torch)

import json
import shutil
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch
from golden_checkpoint import write_json
from golden_families import BASES
from make_single_file_cases import VAE_CHANNELS, stored_tensors, vae_config
from original_layout import vae
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent / "test" / "vae-files"
GOLDEN = ROOT.parent / "golden"
REQUEST = {"text": "a red fox on a hill", "seed": 7, "num_inference_steps": 3, "guidance_scale": 3, "width": 48, "height": 32}
TINY = {
    "act_fn": "relu", "block_out_channels": [8] * 4, "decoder_block_out_channels": [8] * 4, "encoder_block_out_channels": [8] * 4,
    "num_decoder_blocks": [3, 3, 3, 1], "num_encoder_blocks": [1, 3, 3, 3],
}


def original(prefix: str) -> dict:
    return vae(VAE_CHANNELS, 1, prefix)


def diffusers_names() -> dict:
    return {name: list(tensor.shape) for name, tensor in diffusers.AutoencoderKL.from_config(vae_config()).state_dict().items()}


def tiny_names() -> dict:
    return {name: list(tensor.shape) for name, tensor in diffusers.AutoencoderTiny.from_config(TINY).state_dict().items()}


def tiny_decoder() -> dict:
    """The names of taesd_decoder.safetensors: one sequence whose first layer, without weights, keeps the latents within bounds."""
    return {original_name(name): shape for name, shape in tiny_names().items() if name.startswith("decoder.")}


def original_name(name: str) -> str:
    index, rest = name.removeprefix("decoder.layers.").split(".", 1)
    return f"{int(index) + 1}.{rest}"


def load_original(stored: dict, config: dict) -> diffusers.AutoencoderKL:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_json(folder / "vae" / "config.json", config)
        save_file(stored, folder / "vae.safetensors")
        return diffusers.AutoencoderKL.from_single_file(
            str(folder / "vae.safetensors"), config=str(folder), subfolder="vae", torch_dtype=torch.float32, local_files_only=True)


def load_diffusers(stored: dict, config: dict) -> diffusers.AutoencoderKL:
    module = diffusers.AutoencoderKL.from_config(config)
    module.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    return module.eval()


def load_tiny(stored: dict, _: dict) -> diffusers.AutoencoderTiny:
    module = diffusers.AutoencoderTiny.from_config(TINY).eval()
    own = module.state_dict()
    for name in own:
        if name in stored:
            own[name] = stored[name].float()
        elif name.startswith("decoder."):
            own[name] = stored[original_name(name)].float()
    module.load_state_dict(own)
    return module


CASES = {
    "original": {"about": "the original layout, as vae-ft-mse-840000 has it", "tensors": lambda: original(""), "load": load_original},
    "original-prefix": {"about": "the original layout with first_stage_model in front, bfloat16", "tensors": lambda: original("first_stage_model."), "load": load_original, "type": "bfloat16"},
    "diffusers-names": {"about": "a file of diffusers' names without its configuration", "tensors": diffusers_names, "load": load_diffusers},
    "xl-original": {"about": "the original layout for XL, whose scaling factor is another", "tensors": lambda: original(""), "load": load_original, "base": "base-xl"},
    "tiny": {"about": "TAESD in diffusers' names", "tensors": tiny_names, "load": load_tiny},
    "tiny-decoder": {"about": "TAESD's original decoder alone", "tensors": tiny_decoder, "load": load_tiny},
    "xl-tiny-decoder": {"about": "TAESDXL's original decoder alone", "tensors": tiny_decoder, "load": load_tiny, "base": "base-xl"},
}


def make(name: str, case: dict) -> None:
    base_name = case.get("base", "base")
    base = BASES[base_name]
    shapes = case["tensors"]()
    stored = stored_tensors(case, shapes)
    autoencoder = case["load"](stored, vae_config(scaling_factor=base.vae.get("scaling_factor", 0.18215), norm_num_groups=base.vae["norm_num_groups"]))
    pipe = getattr(diffusers, base.pipeline).from_pretrained(GOLDEN / base_name, vae=autoencoder, torch_dtype=torch.float32, local_files_only=True, **base.load)
    pipe.set_progress_bar_config(disable=True)
    image = pipe(
        REQUEST["text"], num_inference_steps=REQUEST["num_inference_steps"], guidance_scale=REQUEST["guidance_scale"], width=REQUEST["width"],
        height=REQUEST["height"], generator=torch.Generator().manual_seed(REQUEST["seed"]),
    ).images[0]
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    image.save(folder / "expected-1.png", optimize=True)
    pixels = np.asarray(image)
    print(f"{name:18} {image.size} spread {pixels.std():.1f} black {np.mean(pixels == 0):.2f} white {np.mean(pixels == 255):.2f} tensors {len(shapes)}")
    (folder / "tensors.json").write_text(json.dumps(shapes, separators=(",", ":")).replace('],"', '],\n"') + "\n")
    record = {"about": case["about"], "base": base_name, "request": REQUEST}
    write_json(folder / "case.json", {**record, "type": case["type"]} if "type" in case else record)


if __name__ == "__main__":
    diffusers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for case_name, one in CASES.items():
        make(case_name, one)
