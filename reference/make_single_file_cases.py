"""Tiny single files in the original layout, and what diffusers makes of them: test/single-files/<case>.

    python reference/make_single_file_cases.py [case …]

A case that is like another has only `case.json` (what differs in its file: `more` tensors, `values` of some, another `type` of the weights, scales),
the configurations that differ and the picture.
Each other case has `tensors.json` (names and shapes; the weights follow from them, see original_layout.py), `names.json` (diffusers' name → the file's,
found by comparing what `from_single_file` loaded with the file), `config/` (the folder that `from_single_file` is given), `case.json` (the request and
the type of the weights) and `expected-1.png`.
"""
import same_arithmetic  # noqa: F401, I001 (before torch)

import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from golden_checkpoint import write_json
from golden_family_requests import EDM as PLAYGROUND_SCHEDULER, PLAYGROUND_VAE
from original_layout import clip, open_clip, uniform, unet, vae, weights
from PIL import Image
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent / "test" / "single-files"
TOKENIZER = ROOT.parent / "golden" / "base" / "tokenizer"

TRAINING = {
    "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000,
    "set_alpha_to_one": False, "steps_offset": 1, "trained_betas": None,
}
REQUEST = {"text": "a red square beside a blue circle", "seed": 7, "num_inference_steps": 4, "guidance_scale": 5.0, "width": 64, "height": 48}

CHANNELS, VAE_CHANNELS = [64, 96], [32, 32, 64]
DOWN, UP = [[1, 1], [0, 0]], [[0, 0, 0], [1, 1, 1]]


def unet_config(**changes):
    return {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1", "block_out_channels": CHANNELS, "layers_per_block": 2,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "cross_attention_dim": 128, "attention_head_dim": 8, "sample_size": 64, **changes,
    }


def vae_config(**changes):
    return {
        "_class_name": "AutoencoderKL", "_diffusers_version": "0.42.1", "block_out_channels": VAE_CHANNELS, "layers_per_block": 1,
        "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3, "latent_channels": 4, "sample_size": 512, **changes,
    }


def text_config(**changes):
    return {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 128, "intermediate_size": 192, "num_attention_heads": 2,
        "num_hidden_layers": 2, "projection_dim": 128, "vocab_size": 49408, "hidden_act": "quick_gelu", "max_position_embeddings": 77,
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, **changes,
    }


SD_INDEX = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", "requires_safety_checker": False,
    "feature_extractor": [None, None], "safety_checker": [None, None], "image_encoder": [None, None],
    "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
}

# XL: CLIP 64 wide, open_clip 128 wide, the pooled prompt 128 beside six sizes in 256 numbers each.
XL_CHANNELS, XL_CONTEXT, XL_ADDED = [64, 128], 192, 128 + 6 * 256
XL_INDEX = {
    "_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.42.1", "force_zeros_for_empty_prompt": True,
    "feature_extractor": [None, None], "image_encoder": [None, None],
    "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", "EulerDiscreteScheduler"],
}
XL_SCHEDULER = {**{key: value for key, value in TRAINING.items() if key not in ("clip_sample", "set_alpha_to_one")}, "timestep_spacing": "leading"}


def xl_tensors(down, up, middle, channels=XL_CHANNELS):
    return {
        **unet(channels, down, up, middle, XL_CONTEXT, True, added=XL_ADDED), **vae(VAE_CHANNELS, 1),
        **clip(64, 3, 96, "conditioner.embedders.0.transformer."), **open_clip(128, 3, 192, "conditioner.embedders.1.model."),
    }


def xl_unet_config(**changes):
    return unet_config(
        block_out_channels=XL_CHANNELS, down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=XL_CONTEXT, attention_head_dim=[1, 2], use_linear_projection=True, sample_size=128, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=XL_ADDED, **changes,
    )


def xl_config(unet, **changes):
    return {
        "model_index.json": XL_INDEX,
        "scheduler/scheduler_config.json": {"_class_name": "EulerDiscreteScheduler", **XL_SCHEDULER},
        "text_encoder/config.json": text_config(hidden_size=64, intermediate_size=96, num_attention_heads=1, num_hidden_layers=3, projection_dim=64),
        "text_encoder_2/config.json": text_config(architectures=["CLIPTextModelWithProjection"], hidden_act="gelu", num_hidden_layers=3),
        "unet/config.json": unet,
        "vae/config.json": vae_config(scaling_factor=0.13025, sample_size=1024, force_upcast=True),
        **changes,
    }


# With it, float64 and float32 of the deepest give the same picture.
CALM = 0.65


def level_types(depths: list, kind: str) -> list:
    return [f"CrossAttn{kind}Block2D" if any(level) else f"{kind}Block2D" for level in depths]


# The depths are the real checkpoints' (ComfyUI comfy/model_detection.py, unet_config_from_diffusers_unet); each level is 64 wide.
def distilled_xl(about: str, structure: tuple, **changes) -> dict:
    down, up, middle = structure
    channels = [64] * len(down)
    return {
        "about": about,
        "pipeline": StableDiffusionXLPipeline,
        "tensors": lambda: xl_tensors(down, up, middle, channels),
        "config": xl_config({
            **xl_unet_config(), "block_out_channels": channels, "attention_head_dim": [1] * len(channels),
            "down_block_types": level_types(down, "Down"), "up_block_types": level_types(up, "Up"), **changes,
        }),
        "pad": {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"},
        "is_packed": True,
        "calm": CALM,
    }


# As src/unet_config/bk_small and bk_tiny of Nota-NetsPresso/BK-SDM; each level is 64 wide.
def distilled_sd(about: str, structure: tuple) -> dict:
    down, up = structure
    channels = [64] * len(down)
    return {
        "about": about,
        "pipeline": StableDiffusionPipeline,
        "tensors": lambda: {
            **unet(channels, down, up, None, 128, False), **vae(VAE_CHANNELS, 1), **clip(128, 2, 192, "cond_stage_model.transformer."),
        },
        "config": {
            "model_index.json": {**SD_INDEX, "scheduler": ["diffusers", "PNDMScheduler"]},
            "scheduler/scheduler_config.json": {"_class_name": "PNDMScheduler", **TRAINING, "skip_prk_steps": True},
            "text_encoder/config.json": text_config(),
            "unet/config.json": unet_config(
                block_out_channels=channels, down_block_types=level_types(down, "Down"), up_block_types=level_types(up, "Up"), layers_per_block=1,
                mid_block_type=None),
            "vae/config.json": vae_config(scaling_factor=0.18215),
        },
        "pad": {"tokenizer": "<|endoftext|>"},
        "is_packed": True,
        "calm": CALM,
    }


# Tensors that nobody needs, as training programs and merges leave them in the file.
REMAINS = {
    "model_ema.decay": [], "model_ema.num_updates": [], "model_ema.diffusion_modelinput_blocks00weight": [64, 4, 3, 3],
    "cond_stage_model.transformer.text_model.embeddings.position_ids": [1, 77], "lora_unet_input_blocks_1_1_proj_in.alpha": [],
    "betas": [1000], "alphas_cumprod": [1000], "cond_stage_model.logit_scale": [],
}

# Four steps of this network turn 1e-7 of its weights into 3/255 of a pixel, in diffusers alone.
FEW_STEPS = {"num_inference_steps": 2}

CASES = {
    "sd-1": {
        "about": "Stable Diffusion 1.x",
        "pipeline": StableDiffusionPipeline,
        "tensors": lambda: {
            **unet(CHANNELS, DOWN, UP, 1, 128, False), **vae(VAE_CHANNELS, 1), **clip(128, 2, 192, "cond_stage_model.transformer."),
        },
        "config": {
            "model_index.json": {**SD_INDEX, "scheduler": ["diffusers", "PNDMScheduler"]},
            "scheduler/scheduler_config.json": {"_class_name": "PNDMScheduler", **TRAINING, "skip_prk_steps": True},
            "text_encoder/config.json": text_config(),
            "unet/config.json": unet_config(),
            "vae/config.json": vae_config(scaling_factor=0.18215),
        },
        "pad": {"tokenizer": "<|endoftext|>"},
    },
    "sd-2": {
        "about": "Stable Diffusion 2.1: open_clip, linear projections, 64 channels a head, v-prediction",
        "pipeline": StableDiffusionPipeline,
        "tensors": lambda: {
            **unet([64, 128], DOWN, UP, 1, 128, True), **vae(VAE_CHANNELS, 1), **open_clip(128, 3, 192, "cond_stage_model.model."),
        },
        "config": {
            "model_index.json": {**SD_INDEX, "scheduler": ["diffusers", "DDIMScheduler"]},
            "scheduler/scheduler_config.json": {"_class_name": "DDIMScheduler", **TRAINING, "prediction_type": "v_prediction"},
            "text_encoder/config.json": text_config(hidden_act="gelu"),
            "unet/config.json": unet_config(
                block_out_channels=[64, 128], attention_head_dim=[1, 2], use_linear_projection=True, sample_size=96),
            "vae/config.json": vae_config(scaling_factor=0.18215, sample_size=768),
        },
        "pad": {"tokenizer": "!"},
    },
    "xl": {
        "about": "Stable Diffusion XL: two text encoders, one of them open_clip's with its projection",
        "pipeline": StableDiffusionXLPipeline,
        "tensors": lambda: xl_tensors([[0, 0], [2, 2]], [[2, 2, 2], [0, 0, 0]], 2),
        "config": xl_config(xl_unet_config(transformer_layers_per_block=[1, 2])),
        "request": FEW_STEPS,
        "pad": {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"},
    },
    "xl-ssd-1b": distilled_xl(
        "SSD-1B: another depth of each attention on the way up, a middle block of one ResNet",
        ([[0, 0], [2, 2], [4, 4]], [[4, 4, 10], [2, 1, 1], [0, 0, 0]], "resnet"),
        transformer_layers_per_block=[0, 2, 4], reverse_transformer_layers_per_block=[[4, 4, 10], [2, 1, 1], 0], mid_block_type="UNetMidBlock2D",
    ),
    "xl-vega": distilled_xl(
        "Segmind Vega", ([[0, 0], [1, 1], [2, 2]], [[2, 2, 2], [1, 1, 1], [0, 0, 0]], "resnet"),
        transformer_layers_per_block=[0, 1, 2], mid_block_type="UNetMidBlock2D",
    ),
    "xl-koala-700m": distilled_xl(
        "KOALA 700M: one ResNet a level, no middle block", ([[0], [2], [5]], [[5, 5], [2, 2], [0, 0]], None),
        layers_per_block=1, transformer_layers_per_block=[0, 2, 5], mid_block_type=None,
    ),
    "xl-koala-1b": distilled_xl(
        "KOALA 1B", ([[0], [2], [6]], [[6, 6], [2, 2], [0, 0]], 6), layers_per_block=1, transformer_layers_per_block=[0, 2, 6],
    ),
    "sd-1-bk-small": distilled_sd(
        "BK-SDM small and small-sd: one ResNet a level, no middle block", ([[1], [1], [1], [0]], [[0, 0], [1, 1], [1, 1], [1, 1]])),
    "sd-1-bk-tiny": distilled_sd(
        "BK-SDM tiny and tiny-sd: three levels, each with attention, no middle block", ([[1], [1], [1]], [[1, 1], [1, 1], [1, 1]])),
    "xl-playground": {
        "about": "Playground 2.5: XL with edm_mean and edm_std",
        "pipeline": StableDiffusionXLPipeline,
        "tensors": lambda: xl_tensors([[0, 0], [1, 1]], [[1, 1, 1], [0, 0, 0]], 1),
        "values": {
            "edm_mean": {"dtype": "F32", "shape": [1, 4, 1, 1], "values": PLAYGROUND_VAE["latents_mean"]},
            "edm_std": {"dtype": "F32", "shape": [1, 4, 1, 1], "values": PLAYGROUND_VAE["latents_std"]},
        },
        "config": {
            **xl_config(xl_unet_config(transformer_layers_per_block=[1, 1])),
            "model_index.json": {**XL_INDEX, "scheduler": ["diffusers", "EDMDPMSolverMultistepScheduler"]},
            "scheduler/scheduler_config.json": PLAYGROUND_SCHEDULER,
            "vae/config.json": vae_config(
                **{key: value for key, value in PLAYGROUND_VAE.items()}, sample_size=1024, force_upcast=True),
        },
        "pad": {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"},
        "request": {"guidance_scale": 3.0, **FEW_STEPS},
    },
    "sd-1-remains": {"about": "EMA, LoRA and training remains in the file change nothing", "like": "sd-1", "more": REMAINS},
    "sd-1-bf16": {"about": "weights in bfloat16", "like": "sd-1", "type": "bfloat16"},
    "sd-1-fp8-e4m3": {"about": "weights in float8 with four bits of exponent", "like": "sd-1", "type": "float8_e4m3fn"},
    "sd-1-fp8-e5m2": {"about": "weights in float8 with five bits of exponent", "like": "sd-1", "type": "float8_e5m2"},
    "sd-1-fp8-scaled": {"about": "float8 matrices with scales beside them, under both names that programs give these", "like": "sd-1", "is_scaled": True},
    "sd-2-base": {
        "about": "Stable Diffusion 2 base: the step that it was saved at tells it from 2.1",
        "like": "sd-2",
        "values": {"global_step": {"dtype": "I64", "shape": [], "values": [875000]}},
        "own_config": {
            "scheduler/scheduler_config.json": {"_class_name": "DDIMScheduler", **TRAINING, "prediction_type": "epsilon"},
            "unet/config.json": unet_config(block_out_channels=[64, 128], attention_head_dim=[1, 2], use_linear_projection=True, sample_size=64),
            "vae/config.json": vae_config(scaling_factor=0.18215, sample_size=512),
        },
    },
    "sd-turbo": {
        "about": "SD-Turbo's own file: the newer names, a prompt 1024 wide, Euler with trailing steps",
        "pipeline": StableDiffusionPipeline,
        "tensors": lambda: {
            **unet([64, 128], DOWN, UP, 1, 1024, True), **vae(VAE_CHANNELS, 1), **open_clip(1024, 2, 64, "conditioner.embedders.0.model."),
        },
        "config": {
            "model_index.json": {**SD_INDEX, "scheduler": ["diffusers", "EulerDiscreteScheduler"]},
            "scheduler/scheduler_config.json": {
                "_class_name": "EulerDiscreteScheduler", **TRAINING, "prediction_type": "epsilon", "timestep_spacing": "trailing"},
            "text_encoder/config.json": text_config(
                hidden_act="gelu", hidden_size=1024, intermediate_size=64, num_attention_heads=16, num_hidden_layers=1, projection_dim=1024),
            "unet/config.json": unet_config(
                block_out_channels=[64, 128], attention_head_dim=[1, 2], use_linear_projection=True, cross_attention_dim=1024),
            "vae/config.json": vae_config(scaling_factor=0.18215),
        },
        "pad": {"tokenizer": "!"},
        "request": {"num_inference_steps": 2, "guidance_scale": 0},
    },
    "xl-v-prediction": {
        "about": "two empty tensors say v-prediction and zero terminal SNR, as in NoobAI's file",
        "like": "xl",
        "values": {"v_pred": {"dtype": "F16", "shape": [0], "values": []}, "ztsnr": {"dtype": "F16", "shape": [0], "values": []}},
        "own_config": {
            "scheduler/scheduler_config.json": {
                "_class_name": "EulerDiscreteScheduler", **XL_SCHEDULER, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
        },
    },
    "xl-fp8-e4m3": {"about": "XL's weights in float8", "like": "xl", "type": "float8_e4m3fn"},
}


def write_config(folder: Path, case: dict) -> None:
    for name, value in case["config"].items():
        write_json(folder / name, value)
    for name, pad in case["pad"].items():
        shutil.copytree(TOKENIZER, folder / name, dirs_exist_ok=True)
        path = folder / name / "special_tokens_map.json"
        special = {**json.loads(path.read_text()), "pad_token": pad}
        path.write_text(json.dumps(special))
        path = folder / name / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token": pad}))


def names_of(pipeline, stored: dict) -> dict:
    """diffusers' name → the file's, with the third of the rows, or `transposed`, where it is not the whole tensor as it lies there."""
    by_value = {}
    for name, tensor in stored.items():
        by_value[tensor.numpy().tobytes()] = [name]
        if tensor.ndim > 0 and tensor.shape[0] % 3 == 0 and "in_proj" in name:
            for part, rows in enumerate(tensor.chunk(3)):
                by_value[rows.numpy().tobytes()] = [name, part]
        if name.endswith("text_projection"):
            by_value[tensor.T.contiguous().numpy().tobytes()] = [name, "transposed"]
    names = {}
    for component in ("text_encoder", "text_encoder_2", "unet", "vae"):
        module = getattr(pipeline, component, None)
        if module is not None:
            for name, tensor in module.state_dict().items():
                if "position_ids" not in name:
                    names[f"{component}/{name.removeprefix('text_model.')}"] = by_value[tensor.contiguous().numpy().tobytes()]
    return names


TYPES = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}


def stored_tensors(case: dict, shapes: dict) -> dict:
    """Each weight is a float16 number first; a smaller type rounds that."""
    half = {name: torch.from_numpy(weights(name, shape, case.get("calm", 1.0)).astype(np.float16)) for name, shape in shapes.items()}
    stored = {name: tensor.to(getattr(torch, case.get("type", "float16"))) for name, tensor in half.items()}
    for name, value in case.get("values", {}).items():
        stored[name] = torch.tensor(value["values"], dtype=TYPES[value["dtype"]]).reshape(value["shape"])
    return stored


def with_scales(stored: dict) -> dict:
    """The matrices as float8 times a scale of their own, widened to float32, for diffusers does not know scales. The scale follows from the name."""
    widened = dict(stored)
    for name, tensor in stored.items():
        if tensor.ndim == 2 and name.endswith(".weight") and "embedding" not in name:
            scale = np.float32(1 + 0.25 * uniform(f"{name} scale", 1)[0])
            widened[name] = tensor.to(torch.float8_e4m3fn).to(torch.float32) * torch.tensor(scale)
    return widened


def write_lines(path: Path, value: dict, case: dict) -> None:
    """One entry a line. Long lists of the distilled models are packed."""
    text = json.dumps(value, separators=(",", ":")).replace('],"', '],\n"') + "\n"
    if case.get("is_packed"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text)


def make(name: str) -> None:
    variant = CASES[name]
    # A variant has the tensors and the configurations of another case.
    case = {**CASES[variant["like"]], **variant} if "like" in variant else variant
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    shapes = {**case["tensors"](), **case.get("more", {})}
    stored = stored_tensors(case, shapes)
    if case.get("is_scaled"):
        stored = with_scales(stored)
    case["config"] = {**case["config"], **case.get("own_config", {})}
    with tempfile.TemporaryDirectory() as temporary:
        config, file = Path(temporary) / "config", Path(temporary) / "model.safetensors"
        write_config(config, case)
        save_file(stored, file)
        more = {"safety_checker": None} if case["pipeline"] is StableDiffusionPipeline else {"add_watermarker": False}
        pipeline = case["pipeline"].from_single_file(str(file), config=str(config), torch_dtype=torch.float32, local_files_only=True, **more)
    pipeline.set_progress_bar_config(disable=True)
    for module in (component for component in pipeline.components.values() if isinstance(component, torch.nn.Module)):
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    request = {**REQUEST, **case.get("request", {})}
    image = pipeline(
        request["text"], num_inference_steps=request["num_inference_steps"], guidance_scale=request["guidance_scale"], width=request["width"],
        height=request["height"], generator=torch.Generator().manual_seed(request["seed"]),
    ).images[0]
    folder.mkdir(parents=True)
    image.save(folder / "expected-1.png")
    pixels = np.asarray(image)
    print(name, image.size, "spread", pixels.std().round(1), "tensors", len(shapes))
    record = {"about": case["about"], "request": request, "tokenizers": case["pad"]}
    for key in ("like", "more", "type", "values", "is_scaled", "calm"):
        if key in variant:
            record[key] = variant[key]
    write_json(folder / "case.json", record)
    for path, value in variant.get("own_config", {}).items():
        write_json(folder / "config" / path, value)
    if "like" in variant:
        return
    write_lines(folder / "tensors.json", shapes, case)
    write_lines(folder / "names.json", names_of(pipeline, {name: tensor.float() for name, tensor in stored.items()}), case)
    for path, value in case["config"].items():
        write_json(folder / "config" / path, value)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name)
