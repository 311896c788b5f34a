"""Names and shapes of the tensors of checkpoints in the original layout, at any size, and weights for them that need not be stored.

The value of element i of a tensor follows from its name and i by integer arithmetic alone, so the tests make the same file again
(`test/checkpoint/single-file/make-file.ts`), and only names, shapes and pictures are committed.
"""
import re

import numpy as np


def conv(name, out, inn, kernel=3):
    return {f"{name}.weight": [out, inn, kernel, kernel], f"{name}.bias": [out]}


def linear(name, out, inn, bias=True):
    return {f"{name}.weight": [out, inn], **({f"{name}.bias": [out]} if bias else {})}


def norm(name, channels):
    return {f"{name}.weight": [channels], f"{name}.bias": [channels]}


def unet_resnet(name, inn, out, time):
    return {
        **norm(f"{name}.in_layers.0", inn), **conv(f"{name}.in_layers.2", out, inn),
        **linear(f"{name}.emb_layers.1", out, time),
        **norm(f"{name}.out_layers.0", out), **conv(f"{name}.out_layers.3", out, out),
        **(conv(f"{name}.skip_connection", out, inn, 1) if inn != out else {}),
    }


def transformer(name, channels, depth, context, is_linear):
    project = (lambda n: linear(n, channels, channels)) if is_linear else (lambda n: conv(n, channels, channels, 1))
    tensors = {**norm(f"{name}.norm", channels), **project(f"{name}.proj_in"), **project(f"{name}.proj_out")}
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, width in (("attn1", channels), ("attn2", context)):
            tensors |= linear(f"{block}.{attention}.to_q", channels, channels, bias=False)
            tensors |= linear(f"{block}.{attention}.to_k", channels, width, bias=False)
            tensors |= linear(f"{block}.{attention}.to_v", channels, width, bias=False)
            tensors |= linear(f"{block}.{attention}.to_out.0", channels, channels)
        tensors |= linear(f"{block}.ff.net.0.proj", 8 * channels, channels)
        tensors |= linear(f"{block}.ff.net.2", channels, 4 * channels)
        for index_ in (1, 2, 3):
            tensors |= norm(f"{block}.norm{index_}", channels)
    return tensors


def unet(channels, down, up, middle, context, is_linear, added=None, prefix="model.diffusion_model."):
    """`down`, `up`: for each level, in the order of the way, the depth of each ResNet's attention (0: none). `middle`: a depth, "resnet" or None."""
    time = 4 * channels[0]
    tensors = {**linear("time_embed.0", time, channels[0]), **linear("time_embed.2", time, time)}
    if added is not None:
        tensors |= {**linear("label_emb.0.0", time, added), **linear("label_emb.0.2", time, time)}
    tensors |= conv("input_blocks.0.0", channels[0], 4)
    skips, width, index = [channels[0]], channels[0], 1
    for level, depths in enumerate(down):
        for depth in depths:
            tensors |= unet_resnet(f"input_blocks.{index}.0", width, channels[level], time)
            width = channels[level]
            if depth:
                tensors |= transformer(f"input_blocks.{index}.1", width, depth, context, is_linear)
            skips.append(width)
            index += 1
        if level < len(down) - 1:
            tensors |= conv(f"input_blocks.{index}.0.op", width, width)
            skips.append(width)
            index += 1
    if middle is not None:
        tensors |= unet_resnet("middle_block.0", width, width, time)
    if isinstance(middle, int):
        tensors |= transformer("middle_block.1", width, middle, context, is_linear)
        tensors |= unet_resnet("middle_block.2", width, width, time)
    index = 0
    for level, depths in enumerate(up):
        out = channels[len(channels) - 1 - level]
        for layer, depth in enumerate(depths):
            tensors |= unet_resnet(f"output_blocks.{index}.0", width + skips.pop(), out, time)
            width = out
            if depth:
                tensors |= transformer(f"output_blocks.{index}.1", width, depth, context, is_linear)
            if layer == len(depths) - 1 and level < len(up) - 1:
                tensors |= conv(f"output_blocks.{index}.{2 if depth else 1}.conv", width, width)
            index += 1
    tensors |= {**norm("out.0", width), **conv("out.2", 4, width)}
    return {prefix + name: shape for name, shape in tensors.items()}


def vae_resnet(name, inn, out):
    return {
        **norm(f"{name}.norm1", inn), **conv(f"{name}.conv1", out, inn), **norm(f"{name}.norm2", out), **conv(f"{name}.conv2", out, out),
        **(conv(f"{name}.nin_shortcut", out, inn, 1) if inn != out else {}),
    }


def vae_middle(name, channels):
    tensors = {**vae_resnet(f"{name}.block_1", channels, channels), **vae_resnet(f"{name}.block_2", channels, channels)}
    tensors |= norm(f"{name}.attn_1.norm", channels)
    for part in ("q", "k", "v", "proj_out"):
        tensors |= conv(f"{name}.attn_1.{part}", channels, channels, 1)
    return tensors


def vae(channels, layers, prefix="first_stage_model."):
    tensors = conv("encoder.conv_in", channels[0], 3)
    width = channels[0]
    for level, out in enumerate(channels):
        for layer in range(layers):
            tensors |= vae_resnet(f"encoder.down.{level}.block.{layer}", width, out)
            width = out
        if level < len(channels) - 1:
            tensors |= conv(f"encoder.down.{level}.downsample.conv", width, width)
    tensors |= {**vae_middle("encoder.mid", width), **norm("encoder.norm_out", width), **conv("encoder.conv_out", 8, width)}
    tensors |= {**conv("quant_conv", 8, 8, 1), **conv("post_quant_conv", 4, 4, 1)}
    tensors |= {**conv("decoder.conv_in", width, 4), **vae_middle("decoder.mid", width)}
    for level in reversed(range(len(channels))):
        for layer in range(layers + 1):
            tensors |= vae_resnet(f"decoder.up.{level}.block.{layer}", width, channels[level])
            width = channels[level]
        if level > 0:
            tensors |= conv(f"decoder.up.{level}.upsample.conv", width, width)
    tensors |= {**norm("decoder.norm_out", width), **conv("decoder.conv_out", 3, width)}
    return {prefix + name: shape for name, shape in tensors.items()}


def clip(width, layers, inner, prefix):
    tensors = {"embeddings.token_embedding.weight": [49408, width], "embeddings.position_embedding.weight": [77, width]}
    for index in range(layers):
        layer = f"encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= linear(f"{layer}.self_attn.{name}", width, width)
        tensors |= {**norm(f"{layer}.layer_norm1", width), **norm(f"{layer}.layer_norm2", width)}
        tensors |= {**linear(f"{layer}.mlp.fc1", inner, width), **linear(f"{layer}.mlp.fc2", width, inner)}
    tensors |= norm("final_layer_norm", width)
    return {f"{prefix}text_model.{name}": shape for name, shape in tensors.items()}


def open_clip(width, layers, inner, prefix):
    tensors = {"positional_embedding": [77, width], "text_projection": [width, width], "token_embedding.weight": [49408, width]}
    for index in range(layers):
        block = f"transformer.resblocks.{index}"
        tensors |= {f"{block}.attn.in_proj_weight": [3 * width, width], f"{block}.attn.in_proj_bias": [3 * width]}
        tensors |= linear(f"{block}.attn.out_proj", width, width)
        tensors |= {**norm(f"{block}.ln_1", width), **norm(f"{block}.ln_2", width)}
        tensors |= {**linear(f"{block}.mlp.c_fc", inner, width), **linear(f"{block}.mlp.c_proj", width, inner)}
    tensors |= norm("ln_final", width)
    return {prefix + name: shape for name, shape in tensors.items()}


def name_hash(name):
    """FNV-1a."""
    value = 2166136261
    for byte in name.encode("utf-8"):
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def uniform(name, count):
    """-1 … 1, each from the name's hash and its own index."""
    with np.errstate(over="ignore"):
        x = np.uint32(name_hash(name)) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13)
        x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 8388608.0 - 1.0


def weights(name, shape, calm=1.0):
    """In float64. Raised gains, biases that matter, norms around one: a wrong detail shows in the pixels. `calm` lowers the gains: a deep network
    makes the rounding of float32 as large as that.
    """
    u = uniform(name, int(np.prod(shape)))
    if len(shape) == 1 and TAESD.match(name):
        values = (0.5 if TAESD_LAST.match(name) else 0.15) + 0.2 * u
    elif len(shape) == 1:
        values = 0.35 * u if name.endswith("bias") else 1.0 + 0.4 * u
    elif "embedding" in name:
        values = 1.7 * u
    else:
        values = calm * gain(name) * np.sqrt(3.0 / np.prod(shape[1:])) * u
    return values.reshape(shape)


# TAESD has no norms: with raised gains nothing but black and white would be left.
TAESD = re.compile(r"(?:(?:en|de)coder\.layers\.)?\d+\.")

TAESD_LAST = re.compile(r"(?:decoder\.layers\.18|19)\.")


def gain(name):
    if TAESD.match(name):
        return 0.25 if TAESD_LAST.match(name) else 0.65
    # The prompt has to be seen: guidance multiplies what cross-attention adds.
    return 2.4 if ".attn2." in name else 1.2
