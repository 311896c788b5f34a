"""The networks of the benchmark's checkpoint as PyTorch modules, from its one file in the original layout."""
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

UNETS = {
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
SCHEDULER = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading")
CLIP_L = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768, hidden_act="quick_gelu")
CLIP_G = dict(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280, hidden_act="gelu")


def vae_config(shape: str) -> dict:
    return dict(
        block_out_channels=[128, 256, 512, 512],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=1024 if shape == "sdxl" else 512,
        scaling_factor=0.13025 if shape == "sdxl" else 0.18215,
    )


def random_unet(shape: str, dtype) -> UNet2DConditionModel:
    """For passes alone: PyTorch's own random weights, so no file is needed."""
    return UNet2DConditionModel(**UNETS[shape]).eval().to(dtype)


def load_modules(shape: str, path: str, dtype) -> dict:
    """Component → module. The file has no VAE encoder, so the autoencoder has none either."""
    tensors = load_file(path)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[shape])
        vae = AutoencoderKL(**vae_config(shape))
    fill(unet, convert_ldm_unet_checkpoint(dict(tensors), dict(unet.config)), dtype)
    vae.encoder = vae.quant_conv = None
    fill(vae, convert_ldm_vae_checkpoint(dict(tensors), dict(vae.config)), dtype)
    clip_prefix = "conditioner.embedders.0.transformer." if shape == "sdxl" else "cond_stage_model.transformer."
    clip_tensors = {name.removeprefix(clip_prefix): value for name, value in tensors.items() if name.startswith(clip_prefix)}
    modules = {"unet": unet, "vae": vae, "text_encoder": load_text(CLIPTextModel(CLIPTextConfig(**CLIP_L)), clip_tensors, dtype)}
    if shape == "sdxl":
        second = CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G))
        stored = convert_open_clip_checkpoint(second, dict(tensors), prefix="conditioner.embedders.1.model.")
        modules["text_encoder_2"] = load_text(second, stored, dtype)
    return {name: module.eval() for name, module in modules.items()}


def fill(module, tensors: dict, dtype) -> None:
    module.load_state_dict({name: value.to(dtype) for name, value in tensors.items()}, strict=False, assign=True)
    left = [name for name, value in module.state_dict().items() if value.is_meta]
    if left:
        raise ValueError(f"the checkpoint has no {left[0]} and {len(left) - 1} more")


def load_text(module, tensors: dict, dtype):
    """Built with numbers of its own first, because its positions are in no file."""
    known = module.state_dict()
    named = {name if name in known else name.removeprefix("text_model."): value for name, value in tensors.items()}
    missing = [name for name in known if name not in named and "position_ids" not in name]
    if missing:
        raise ValueError(f"the checkpoint has no {missing[0]} and {len(missing) - 1} more of {sorted(named)[:3]}")
    module.load_state_dict(named, strict=False)
    return module.to(dtype)
