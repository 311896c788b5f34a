"""Tiny random checkpoints for the golden cases: small enough to commit, wild enough that a wrong detail shows in the pixels.

A freshly initialised network is nearly linear and draws grey; here every gain is raised, norms get random weights and biases, and
the output layers are scaled until a picture uses the full range from black to white.
"""
import gzip
import json
import math
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

HIDDEN = 16
END = "<|endoftext|>"
ALL_MERGES = 49152 - 256 - 2

# As the files of Stable Diffusion 1.5 on the hub: sparse, old, keys of other classes included.
MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.6.0",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
UNET = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "attention_head_dim": 2,
    "block_out_channels": [16, 24, 32],
    "center_input_sample": False,
    "cross_attention_dim": HIDDEN,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 8,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
VAE = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "block_out_channels": [8, 8, 16, 16],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TEXT_ENCODER = {
    "_name_or_path": "openai/clip-vit-large-patch14",
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": HIDDEN,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 1,
    "torch_dtype": "float32",
    "transformers_version": "4.22.0.dev0",
    "vocab_size": 49408,
}
TOKENIZER_CONFIG = {
    "add_prefix_space": False,
    "bos_token": {"__type": "AddedToken", "content": "<|startoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
    "do_lower_case": True,
    "eos_token": {"__type": "AddedToken", "content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
    "errors": "replace",
    "model_max_length": 77,
    "name_or_path": "openai/clip-vit-large-patch14",
    "pad_token": "<|endoftext|>",
    "special_tokens_map_file": "./special_tokens_map.json",
    "tokenizer_class": "CLIPTokenizer",
    "unk_token": {"__type": "AddedToken", "content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
}
SPECIAL_TOKENS = {name: TOKENIZER_CONFIG[name] for name in ("bos_token", "eos_token", "pad_token", "unk_token")}


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def bytes_to_unicode() -> list[str]:
    """The 256 symbols that stand for bytes in CLIP's vocabulary, in its order: printable Latin-1 first, the others moved up."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(moved))]


def write_clip_tokenizer(folder: Path, bpe_file: Path, merge_count: int = ALL_MERGES, pad_token: str = END) -> None:
    """vocab.json and merges.txt out of bpe_simple_vocab_16e6.txt.gz, the form in which CLIP itself ships its vocabulary (MIT)."""
    lines = gzip.open(bpe_file, "rt", encoding="utf-8").read().split("\n")
    merges = lines[1 : merge_count + 1]
    symbols = bytes_to_unicode()
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(merge.split()) for merge in merges]
    tokens += ["<|startoftext|>", END]
    assert len(tokens) == merge_count + 514
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    padding = {} if pad_token == END else {"pad_token": pad_token}
    write_json(folder / "tokenizer_config.json", {**TOKENIZER_CONFIG, **padding})
    write_json(folder / "special_tokens_map.json", {**SPECIAL_TOKENS, **padding})


def shake(module: torch.nn.Module, seed: int, gain: float) -> None:
    """Random weights with raised gains: matrices by fan-in, norms around one, biases that matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            elif parameter.ndim == 1:
                parameter.copy_(1 + 0.25 * noise)
            elif "token_embedding" in name or "position_embedding" in name:
                parameter.copy_(noise)
            else:
                parameter.copy_(noise * gain / math.sqrt(parameter[0].numel()))
            # Exactly the same numbers in either precision, so that a case can store them as float16.
            parameter.copy_(parameter.half().float())


def make_unet(config: dict, seed: int = 2) -> UNet2DConditionModel:
    unet = UNet2DConditionModel.from_config(config)
    shake(unet, seed, gain=1.2)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            # The prompt has to be seen: guidance multiplies what cross-attention adds.
            if "attn2.to_out.0.weight" in name or "attn2.to_v.weight" in name or "attn2.to_q" in name:
                parameter.mul_(2)
    return unet.eval()


def make_vae(config: dict, seed: int = 3) -> diffusers.ModelMixin:
    vae = getattr(diffusers, config["_class_name"]).from_config(config)
    shake(vae, seed, gain=1.1)
    with torch.no_grad():
        if config["_class_name"] == "AutoencoderKL":
            vae.decoder.conv_out.weight.mul_(0.7)
        else:
            # Without it most of the picture is black or white.
            vae.decoder.layers[-1].weight.mul_(0.3)
            vae.decoder.layers[-1].bias.fill_(0.5)
    return vae.eval()


def make_text_encoder(config: dict, seed: int = 1) -> CLIPTextModel:
    text_class = getattr(transformers, config["architectures"][0])
    text_encoder = text_class(CLIPTextConfig(**{key: value for key, value in config.items() if not key.startswith("_")}))
    shake(text_encoder, seed, gain=1.3)
    return text_encoder.eval()


def save_weights(path: Path, tensors: dict, dtype: torch.dtype = torch.float16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous() for name, tensor in tensors.items()}
    save_file(stored, path, metadata={"format": "pt"})




def old_attention_names(state: dict) -> dict:
    """As the VAE of Stable Diffusion 1.x was saved before diffusers 0.13."""
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in state.items():
        for new, old in names.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        renamed[name] = tensor
    return renamed


def text_model_prefix(state: dict) -> dict:
    """The names of transformers before 5, with the position ids that were saved then."""
    renamed = {name if name.startswith("text_model.") else f"text_model.{name}": tensor for name, tensor in state.items()}
    renamed["text_model.embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    return renamed
