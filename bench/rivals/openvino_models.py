"""Converts the benchmark's checkpoint into the folder that OpenVINO GenAI reads. Weights stay float16, as they are in the checkpoint."""
import json
import shutil
from pathlib import Path

import openvino
import torch
from openvino_tokenizers import convert_tokenizer
from transformers import CLIPTokenizer

import torch_modules


class UNet(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states, text_embeds=None, time_ids=None):
        added = None if text_embeds is None else {"text_embeds": text_embeds, "time_ids": time_ids}
        return self.unet(sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False)[0]


class Decoder(torch.nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, latent_sample):
        return self.vae.decode(latent_sample, return_dict=False)[0]


class Text(torch.nn.Module):
    """GenAI takes output 0, and for XL the hidden states behind it by their place."""

    def __init__(self, model, is_projected: bool, has_layers: bool):
        super().__init__()
        self.model, self.is_projected, self.has_layers = model, is_projected, has_layers

    def forward(self, input_ids):
        out = self.model(input_ids, output_hidden_states=self.has_layers)
        first = (out.text_embeds, out.last_hidden_state) if self.is_projected else (out.last_hidden_state, out.pooler_output)
        return (*first, *out.hidden_states) if self.has_layers else first


def convert(shape: str, checkpoint: str, tokenizer_folder: str, folder: Path) -> None:
    torch.set_grad_enabled(False)
    modules = torch_modules.load_modules(shape, checkpoint, torch.float32)
    unet, vae = modules["unet"], modules["vae"]
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    # Small sizes: tracing runs the network, and all sizes stay open in the model.
    width = unet.config.cross_attention_dim
    inputs = {"sample": torch.randn(2, 4, 16, 16), "timestep": torch.tensor([500]), "encoder_hidden_states": torch.randn(2, 77, width)}
    if shape == "sdxl":
        inputs |= {"text_embeds": torch.randn(2, 1280), "time_ids": torch.randn(2, 6)}
    save(part / "unet", UNet(unet), inputs, dict(unet.config))
    save(part / "vae_decoder", Decoder(vae), {"latent_sample": torch.randn(1, 4, 8, 8)}, dict(vae.config))
    for name in ("text_encoder", "text_encoder_2"):
        if name in modules:
            text = Text(modules[name], name == "text_encoder_2", shape == "sdxl")
            save(part / name, text, {"input_ids": torch.full((2, 77), 7)}, modules[name].config.to_dict())
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    for name in ("tokenizer", "tokenizer_2")[: 2 if shape == "sdxl" else 1]:
        shutil.copytree(tokenizer_folder, part / name)
        openvino.save_model(convert_tokenizer(tokenizer), part / name / "openvino_tokenizer.xml")
    write(part / "scheduler" / "scheduler_config.json", {"_class_name": "EulerDiscreteScheduler", **torch_modules.SCHEDULER})
    write(part / "model_index.json", model_index(shape))
    part.rename(folder)


def save(folder: Path, module, inputs: dict, config: dict) -> None:
    model = openvino.convert_model(module, example_input=inputs)
    for port, name in zip(model.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    openvino.save_model(model, folder / "openvino_model.xml", compress_to_fp16=True)
    write(folder / "config.json", {key: value for key, value in config.items() if not key.startswith("_")})


def model_index(shape: str) -> dict:
    index = {
        "_class_name": "StableDiffusionXLPipeline" if shape == "sdxl" else "StableDiffusionPipeline",
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if shape == "sdxl":
        index |= {
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "force_zeros_for_empty_prompt": False,
        }
    return index


def write(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, default=str))
