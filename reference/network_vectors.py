"""The cases of the networks: a base at tiny size, and one case for each key of its configuration that changes the graph.

A case with the weights of another one differs from it in the option alone, and make_network_vectors.py refuses it if its output does not differ.
"""
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from golden_checkpoint import shake
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from vector_case import Case, exact, normal

UNET = {
    "attention_head_dim": 2,
    "block_out_channels": [8, 12],
    "center_input_sample": False,
    "cross_attention_dim": 6,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
ONE_BLOCK = {"down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [8]}
THREE_BLOCKS = {
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [4, 8, 8],
}
# Name -> (about, keys that differ from the base, whether the weights are the base's, latents as batch, height and width)
UNET_CASES = {
    "unet": ("the base: a block with attention, one without", {}, True, (2, 6, 4)),
    "unet-odd": ("a size that the way down does not divide", {}, True, (1, 5, 7)),
    "unet-one-latent": ("one latent high", {}, True, (1, 1, 3)),
    "unet-timestep": ("another timestep, not whole", {}, True, (2, 6, 4)),
    "unet-heads": ("heads per block", {"attention_head_dim": [4, 3]}, True, (2, 6, 4)),
    "unet-flip": ("sine before cosine", {"flip_sin_to_cos": False}, True, (2, 6, 4)),
    "unet-freq-shift": ("freq_shift 1", {"freq_shift": 1}, True, (2, 6, 4)),
    "unet-norm-eps": ("a large norm_eps", {"norm_eps": 0.3}, True, (2, 6, 4)),
    "unet-groups": ("two groups", {"norm_num_groups": 2}, True, (2, 6, 4)),
    "unet-centred": ("2x − 1 of the latents", {"center_input_sample": True}, True, (2, 6, 4)),
    "unet-mid-scale": ("the middle block divides by 1.5", {"mid_block_scale_factor": 1.5}, True, (2, 6, 4)),
    "unet-padding-0": ("downsample_padding 0", {"downsample_padding": 0}, True, (2, 6, 4)),
    "unet-padding-0-odd": ("downsample_padding 0 and an odd size", {"downsample_padding": 0}, True, (1, 5, 7)),
    "unet-linear": ("projections by matrices", {"use_linear_projection": True}, False, (2, 6, 4)),
    "unet-layers": ("two layers per block, two transformer layers", {"layers_per_block": 2, "transformer_layers_per_block": 2}, False, (1, 4, 2)),
    "unet-only-cross": ("only_cross_attention, in the middle block not", {"only_cross_attention": True}, False, (2, 6, 4)),
    "unet-no-middle": ("without a middle block", {"mid_block_type": None}, False, (2, 6, 4)),
    "unet-kernels": ("conv_in of 5 × 5, conv_out of 1 × 1", {"conv_in_kernel": 5, "conv_out_kernel": 1}, False, (2, 6, 4)),
    "unet-channels": ("three channels in, five out, a wider prompt", {"in_channels": 3, "out_channels": 5, "cross_attention_dim": 10}, False, (2, 6, 4)),
    "unet-down-only": ("attention on the way down only", {**ONE_BLOCK, "up_block_types": ["UpBlock2D"]}, False, (2, 6, 4)),
    "unet-lists": (
        "three blocks with lists for each",
        {
            **THREE_BLOCKS,
            "layers_per_block": [1, 2, 1],
            "transformer_layers_per_block": [1, 1, 2],
            "attention_head_dim": [2, 1, 4],
            "only_cross_attention": [True, False, False],
        },
        False,
        (1, 9, 6),
    ),
    "unet-odd-channels": ("an odd number of channels for the timestep", {**ONE_BLOCK, "block_out_channels": [9], "norm_num_groups": 3, "attention_head_dim": 3}, False, (1, 2, 3)),
}


# As small as it gets: the file of these holds many sets of weights.
SMALL = {
    "attention_head_dim": 2,
    "block_out_channels": [4, 6],
    "cross_attention_dim": 5,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
}
ONE_SMALL = {"down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [4]}
UNET_OPTION_CASES = {
    "unet-small": ("the base: attention in the second of two blocks", {}, True, (2, 6, 4)),
    "unet-gelu": ("act_fn gelu", {"act_fn": "gelu"}, True, (2, 6, 4)),
    "unet-mish": ("act_fn mish", {"act_fn": "mish"}, True, (2, 6, 4)),
    "unet-relu": ("act_fn relu", {"act_fn": "relu"}, True, (2, 6, 4)),
    "unet-scale-shift": ("the time embedding scales and shifts", {"resnet_time_scale_shift": "scale_shift"}, False, (2, 6, 4)),
    "unet-middle-resnet": ("a middle block of one ResNet", {"mid_block_type": "UNetMidBlock2D", "mid_block_scale_factor": 1.5}, False, (2, 6, 4)),
    "unet-guidance": ("the guidance scale's embedding, another one for each image", {**ONE_SMALL, "time_cond_proj_dim": 7}, False, (2, 3, 4)),
    "unet-depths": (
        "a depth for each layer, another way up, as in SSD-1B",
        {"layers_per_block": 2, "transformer_layers_per_block": [1, [2, 0]], "reverse_transformer_layers_per_block": [[0, 1, 2], 3]},
        False,
        (1, 4, 2),
    ),
    "unet-depths-up": (
        "numbers down, lists up, attention everywhere",
        {
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            "transformer_layers_per_block": [1, 2],
            "reverse_transformer_layers_per_block": [1, [2, 1]],
            "mid_block_type": None,
        },
        False,
        (1, 4, 2),
    ),
    "unet-no-depth": ("transformers without a layer", {**ONE_SMALL, "transformer_layers_per_block": 0}, False, (1, 2, 3)),
}
UNET_XL = {
    **SMALL,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "attention_head_dim": [2, 3],
    "projection_class_embeddings_input_dim": 29,
    "transformer_layers_per_block": [1, 2],
    "use_linear_projection": True,
}
UNET_XL_CASES = {
    "unet-xl": ("the base: sizes and a pooled prompt, another one for each image", {}, True, (2, 6, 4)),
    "unet-xl-sine": ("sine before cosine", {"flip_sin_to_cos": False}, True, (2, 6, 4)),
    "unet-xl-frequencies": ("freq_shift", {"freq_shift": 1}, True, (2, 6, 4)),
    "unet-xl-odd": ("an odd width of each size, a wider pooled prompt", {**ONE_SMALL, "attention_head_dim": 2, "transformer_layers_per_block": 1, "addition_time_embed_dim": 3, "projection_class_embeddings_input_dim": 27}, False, (2, 3, 2)),
    "unet-xl-activation": ("act_fn is not for the sizes", {"act_fn": "mish"}, True, (2, 6, 4)),
    "unet-xl-guidance": ("with the guidance scale's embedding", {**ONE_SMALL, "attention_head_dim": 2, "transformer_layers_per_block": 1, "time_cond_proj_dim": 3}, False, (2, 3, 2)),
}


def added_inputs(config: dict, batch: int) -> tuple:
    """The inputs that only some configurations have, and their dimensions."""
    inputs, dims = {}, {}
    if config.get("time_cond_proj_dim"):
        inputs["timestep_cond"] = normal([batch, config["time_cond_proj_dim"]], 44)
        dims["timestep_cond"] = ["batch", config["time_cond_proj_dim"]]
    if config.get("addition_embed_type"):
        width = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        inputs["text_embeds"] = normal([batch, width], 45, 2.0)
        inputs["time_ids"] = torch.tensor([[1024.0, 768, 0, 16, 1152, 896], [512, 640, 32, 0, 512, 512]])[:batch]
        dims.update({"text_embeds": ["batch", width], "time_ids": ["batch", 6]})
    return inputs, dims


def unet_case(name: str, cases: dict, base_config: dict) -> Case:
    about, keys, as_base, (batch, height, width) = cases[name]
    config = {**base_config, **keys}
    module = UNet2DConditionModel.from_config(config)
    shake(module, seed=41, gain=1.2)
    base_name = next(iter(cases))
    shared = as_base and name != base_name
    if shared:
        # Loading them proves that the names and shapes are the base's.
        base = UNet2DConditionModel.from_config(base_config)
        shake(base, seed=41, gain=1.2)
        module.load_state_dict(base.state_dict())
    channels, features = config.get("in_channels", 4), config["cross_attention_dim"]
    inputs = {
        "sample": normal([batch, channels, height, width], 42),
        "timestep": torch.tensor([731.25 if name == "unet-timestep" else 261.0]),
        "encoder_hidden_states": normal([batch, 5, features], 43, 2.0),
    }
    dims = {"sample": ["batch", channels, "height", "width"], "timestep": [1], "encoder_hidden_states": ["batch", "tokens", features]}
    added, added_dims = added_inputs(config, batch)

    def run(i: dict) -> dict:
        added = {key: i[key] for key in ("text_embeds", "time_ids") if key in i}
        result = module.eval()(i["sample"], i["timestep"], i["encoder_hidden_states"], timestep_cond=i.get("timestep_cond"), added_cond_kwargs=added)
        return {"out_sample": result.sample}

    weights_of = base_name if shared else None
    return Case(name, about, "UNet2DConditionModel", {**dims, **added_dims}, {**inputs, **added}, run, config, module, weights_of=weights_of)


VAE = {
    "block_out_channels": [4, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
}
VAE_CASES = {
    "vae": ("the base: two blocks", {}, True, (3, 5)),
    "vae-groups": ("four groups", {"norm_num_groups": 4}, True, (3, 5)),
    "vae-one-latent": ("a single latent", {}, True, (1, 1)),
    "vae-no-mid-attention": ("without attention in the middle", {"mid_block_add_attention": False}, False, (3, 5)),
    "vae-no-post-quant-conv": ("without post_quant_conv", {"use_post_quant_conv": False, "use_quant_conv": False}, False, (3, 5)),
    "vae-layers": ("two layers per block", {"layers_per_block": 2}, False, (2, 3)),
    "vae-channels": ("three latent channels in, four channels out", {"latent_channels": 3, "out_channels": 4}, False, (3, 2)),
    "vae-one-block": ("one block, which does not enlarge", {"block_out_channels": [8], "down_block_types": ["DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D"]}, False, (3, 5)),
    "vae-four-blocks": (
        "four blocks",
        {"block_out_channels": [2, 4, 4, 6], "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4},
        False,
        (2, 1),
    ),
}


class Decoder(torch.nn.Module):
    """Of the autoencoder only what decodes, so that only its weights are stored."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.decoder = vae.decoder
        self.post_quant_conv = vae.post_quant_conv

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.decoder(latents if self.post_quant_conv is None else self.post_quant_conv(latents))


def vae_decoder(config: dict) -> Decoder:
    decoder = Decoder(AutoencoderKL.from_config(config))
    shake(decoder, seed=51, gain=1.2)
    return decoder.eval()


def vae_case(name: str) -> Case:
    about, keys, as_base, (height, width) = VAE_CASES[name]
    config = {**VAE, **keys}
    module = vae_decoder(config)
    shared = as_base and name != "vae"
    if shared:
        module.load_state_dict(vae_decoder(VAE).state_dict())
    channels = config.get("latent_channels", 4)
    inputs = {"latent_sample": normal([1, channels, height, width], 52)}
    run = lambda i: {"sample": module(i["latent_sample"])}
    return Case(name, about, "AutoencoderKL", {"latent_sample": [1, channels, "height", "width"]}, inputs, run, config, module, weights_of="vae" if shared else None)


TINY = {
    "act_fn": "relu",
    "decoder_block_out_channels": [6, 6, 6],
    "encoder_block_out_channels": [6, 6, 6],
    "num_decoder_blocks": [2, 1, 1],
    "num_encoder_blocks": [1, 1, 2],
}
# Name -> (about, keys that differ from the base, whether the weights are the base's, latents as height and width)
TINY_CASES = {
    "vae-tiny": ("the base: three stages", {}, True, (3, 5)),
    "vae-tiny-gelu": ("act_fn gelu", {"act_fn": "gelu"}, True, (3, 5)),
    "vae-tiny-one": ("one stage, a single latent", {"decoder_block_out_channels": [4], "encoder_block_out_channels": [4], "num_decoder_blocks": [1], "num_encoder_blocks": [1]}, False, (1, 1)),
    "vae-tiny-blocks": ("a stage without blocks, another width", {"decoder_block_out_channels": [5, 5], "encoder_block_out_channels": [4, 4], "num_decoder_blocks": [0, 2], "num_encoder_blocks": [2, 0]}, False, (2, 3)),
    "vae-tiny-channels": ("other channels in and out", {"in_channels": 2, "out_channels": 4, "latent_channels": 3}, False, (2, 3)),
}


def tiny_case(name: str, half: str) -> Case:
    about, keys, as_base, (height, width) = TINY_CASES[name]
    config = {**TINY, **keys}

    def part(config: dict) -> torch.nn.ModuleDict:
        module = torch.nn.ModuleDict({half: getattr(AutoencoderTiny.from_config(config), half)})
        shake(module, seed=71, gain=1.2)
        return module.eval()

    module = part(config)
    shared = as_base and name != "vae-tiny"
    if shared:
        module.load_state_dict(part(TINY).state_dict())
    stored = name if half == "decoder" else name.replace("vae-tiny", "vae-tiny-encoder")
    if half == "decoder":
        source, result, shape = "latent_sample", "sample", [config.get("latent_channels", 4), height, width]
        # Numbers beyond the bound on latents too.
        inputs, dims = {source: normal([1, *shape], 72, 3.0)}, {source: [1, shape[0], "height", "width"]}
    else:
        scale = 2 ** (len(config["num_encoder_blocks"]) - 1)
        source, result, shape = "sample", "latent_sample", [config.get("in_channels", 3), height * scale, width * scale]
        inputs, dims = {source: normal([1, *shape], 73, 0.5)}, {source: [1, shape[0], "image_height", "image_width"]}
    weights_of = stored.removesuffix("-gelu") if shared else None
    return Case(stored, about, "AutoencoderTiny", dims, inputs, lambda i: {result: module[half](i[source])}, config, module, weights_of=weights_of)


def tiled_case() -> Case:
    """What AutoencoderTiny.enable_tiling makes of tiles of 64 pixels, whose real size, 512, would make a large file."""
    four = [4] * 4
    config = {"decoder_block_out_channels": four, "encoder_block_out_channels": four, "num_decoder_blocks": [1] * 4, "num_encoder_blocks": [1] * 4}
    vae = AutoencoderTiny.from_config(config)
    shake(vae.decoder, seed=71, gain=1.2)
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = 64, 8
    module = torch.nn.ModuleDict({"decoder": vae.decoder}).eval()
    inputs, dims = {"latent_sample": normal([1, 4, 9, 17], 74, 2.0)}, {"latent_sample": [1, 4, "height", "width"]}
    about = "an image of six tiles"
    return Case("vae-tiny-tiled", about, "AutoencoderTiny", dims, inputs, lambda i: {"sample": vae.decode(i["latent_sample"]).sample}, config, module)


CLIP = {
    "hidden_size": 8,
    "intermediate_size": 20,
    "max_position_embeddings": 11,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 40,
}
CLIP_CASES = {
    "clip": ("the base: quick_gelu", {}, True),
    "clip-gelu": ("hidden_act gelu", {"hidden_act": "gelu"}, True),
    "clip-heads": ("four heads", {"num_attention_heads": 4}, True),
    "clip-epsilon": ("a large layer_norm_eps", {"layer_norm_eps": 0.3}, True),
    "clip-three-layers": ("three layers, another width", {"num_hidden_layers": 3, "hidden_size": 6, "intermediate_size": 9}, False),
    "clip-vocabulary": ("another vocabulary, more positions", {"vocab_size": 51, "max_position_embeddings": 16}, False),
    "clip-short": ("a prompt of fewer tokens than positions", {}, True),
}
# Name -> (about, the index into hidden_states)
CLIP_LAYER_CASES = {
    "clip-layer-last": ("the last layer", 3),
    "clip-layer-before": ("the layer before it", 2),
    "clip-layer-first": ("the first layer", 1),
    "clip-layer-none": ("the embeddings", 0),
}
# Name -> (about, keys that differ from the base, whether the weights are the base's, the index into hidden_states)
CLIP_PROJECTION = {**CLIP, "hidden_act": "gelu", "projection_dim": 5, "eos_token_id": 33}
CLIP_PROJECTION_CASES = {
    "clip-projection": ("the base: the first end token is pooled", {}, True, 1),
    "clip-projection-end-2": ("end token 2: the largest id is pooled", {"eos_token_id": 2}, True, 1),
    "clip-projection-no-end": ("a prompt without the end token: the first token is pooled", {"eos_token_id": 34}, True, 1),
    "clip-projection-wide": ("a projection wider than the network", {"projection_dim": 11}, False, 2),
    "clip-projection-sizes": (
        "quick_gelu, other sizes and numbers",
        {
            "hidden_act": "quick_gelu",
            "hidden_size": 6,
            "intermediate_size": 9,
            "layer_norm_eps": 0.1,
            "max_position_embeddings": 13,
            "num_attention_heads": 3,
            "num_hidden_layers": 3,
            "vocab_size": 51,
        },
        False,
        3,
    ),
}


def clip_ids(config: dict, tokens: int) -> torch.Tensor:
    return torch.randint(0, config["vocab_size"], (2, tokens), generator=torch.Generator().manual_seed(62), dtype=torch.int64)


def clip_model(config: dict) -> CLIPTextModel:
    return shaken(CLIPTextModel(CLIPTextConfig(**config, bos_token_id=0, eos_token_id=2, pad_token_id=1)))


def clip_case(name: str) -> Case:
    about, keys, as_base = CLIP_CASES[name]
    config = {**CLIP, **keys}
    module = clip_model(config)
    shared = as_base and name != "clip"
    if shared:
        module.load_state_dict(clip_model(CLIP).state_dict())
    tokens = 7 if name == "clip-short" else config["max_position_embeddings"]
    run = lambda i: {"last_hidden_state": module(i["input_ids"]).last_hidden_state}
    dims = {"input_ids": ["batch", tokens]}
    return Case(name, about, "CLIPTextModel", dims, {"input_ids": clip_ids(config, tokens)}, run, config, module, weights_of="clip" if shared else None, rename=strip)


def clip_layer_case(name: str) -> Case:
    about, layer = CLIP_LAYER_CASES[name]
    config = {**CLIP, "num_hidden_layers": 3}
    module = clip_model(config)
    tokens = config["max_position_embeddings"]

    def run(i: dict) -> dict:
        hidden = module(i["input_ids"], output_hidden_states=True).hidden_states[int(i["layer"])]
        return {"hidden_state": hidden, "last_hidden_state": module.final_layer_norm(hidden)}

    inputs = {"input_ids": clip_ids(config, tokens), "layer": torch.tensor([layer])}
    dims = {"input_ids": ["batch", tokens], "layer": [1]}
    weights_of = None if name == "clip-layer-last" else "clip-layer-last"
    return Case(name, about, "CLIPTextModel", dims, inputs, run, config, module, weights_of=weights_of, rename=strip)


def clip_projection_case(name: str) -> Case:
    about, keys, as_base, layer = CLIP_PROJECTION_CASES[name]
    config = {**CLIP_PROJECTION, **keys}
    model = lambda config: shaken(CLIPTextModelWithProjection(CLIPTextConfig(**config, bos_token_id=0, pad_token_id=1)))
    module = model(config)
    shared = as_base and name != "clip-projection"
    if shared:
        module.load_state_dict(model(CLIP_PROJECTION).state_dict())
    tokens = config["max_position_embeddings"]
    ids = clip_ids(config, tokens)
    # An end token twice, so that the first counts; before it a larger id and the number 2.
    ids[:, 1] = torch.tensor([35, 2])
    ids[0, 4] = ids[0, 7] = ids[1, 6] = ids[1, 9] = 33
    ids[ids == 34] = 5
    inputs = {"input_ids": ids, "layer": torch.tensor([layer])}

    def run(i: dict) -> dict:
        output = module(i["input_ids"], output_hidden_states=True)
        hidden = output.hidden_states[int(i["layer"])]
        own = {"hidden_state": hidden, "last_hidden_state": module.text_model.final_layer_norm(hidden)}
        return {"text_embeds": output.text_embeds} if shared else {"text_embeds": output.text_embeds, **own}

    dims = {"input_ids": ["batch", tokens], "layer": [1]}
    return Case(name, about, "CLIPTextModelWithProjection", dims, inputs, run, config, module, weights_of="clip-projection" if shared else None, rename=strip)


def strip(stored: str) -> str:
    """Newer savers of transformers omit the prefix."""
    return stored.removeprefix("text_model.")


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    shake(module, seed=61, gain=1.6)
    return module.eval()


NETWORK_GROUPS = {
    "clip": lambda: [clip_case(name) for name in CLIP_CASES],
    "clip-layers": lambda: [clip_layer_case(name) for name in CLIP_LAYER_CASES],
    "clip-projection": lambda: [clip_projection_case(name) for name in CLIP_PROJECTION_CASES],
    "unet": lambda: [unet_case(name, UNET_CASES, UNET) for name in UNET_CASES],
    "unet-options": lambda: [unet_case(name, UNET_OPTION_CASES, SMALL) for name in UNET_OPTION_CASES],
    "unet-xl": lambda: [unet_case(name, UNET_XL_CASES, UNET_XL) for name in UNET_XL_CASES],
    "vae-tiny": lambda: [tiny_case(name, "decoder") for name in TINY_CASES],
    "vae-tiny-encoder": lambda: [tiny_case(name, "encoder") for name in TINY_CASES],
    "vae-tiny-tiled": lambda: [tiled_case()],
    "vae": lambda: [vae_case(name) for name in VAE_CASES],
}
