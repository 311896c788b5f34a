"""The UNet of Stable Diffusion 1.5 and XL in plain PyTorch, for machines without diffusers.

Names of parameters and keys of the configuration are diffusers' (models/unets/unet_2d_condition.py), so both load the same file. It reads only the keys that
the benchmark's configurations have.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

DEFAULTS = dict(
    block_out_channels=[320, 640, 1280, 1280],
    down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    layers_per_block=2,
    transformer_layers_per_block=1,
    norm_num_groups=32,
    use_linear_projection=False,
    addition_time_embed_dim=None,
)
TOKENS_FIRST = (0, 2, 3, 1)
CHANNELS_FIRST = (0, 3, 1, 2)


def sinusoid(steps: torch.Tensor, width: int) -> torch.Tensor:
    """Cosines first, then sines. [N] → [N, width]"""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=steps.device, dtype=torch.float32) * (-math.log(10000) / half))
    angles = steps.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Embedding(nn.Module):
    def __init__(self, into: int, out: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(into, out), nn.Linear(out, out)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Resnet(nn.Module):
    def __init__(self, into: int, out: int, time: int, groups: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, into, 1e-5), nn.Conv2d(into, out, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, out)
        self.norm2, self.conv2 = nn.GroupNorm(groups, out, 1e-5), nn.Conv2d(out, out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x, time):
        hidden = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(time))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(hidden)))


class Attention(nn.Module):
    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(size, width, bias=False) for size in (width, context, context))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x, context):
        def split(tokens):
            return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(split(self.to_q(x)), split(self.to_k(context)), split(self.to_v(context)))
        return self.to_out[0](mixed.transpose(1, 2).flatten(2))


class Gated(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=2)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        # The middle entry is diffusers' dropout.
        self.net = nn.Sequential(Gated(width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x):
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1, self.attn2 = Attention(width, width, heads), Attention(width, context, heads)
        self.ff = FeedForward(width)

    def forward(self, x, context):
        own = self.norm1(x)
        x = x + self.attn1(own, own)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, width: int, config: dict, heads: int, layers: int):
        super().__init__()
        self.linear = config["use_linear_projection"]
        self.norm = nn.GroupNorm(config["norm_num_groups"], width, 1e-6)
        project = (lambda: nn.Linear(width, width)) if self.linear else (lambda: nn.Conv2d(width, width, 1))
        self.proj_in, self.proj_out = project(), project()
        context = config["cross_attention_dim"]
        self.transformer_blocks = nn.ModuleList(TransformerBlock(width, context, heads) for _ in range(layers))

    def forward(self, x, context):
        hidden = self.norm(x)
        if not self.linear:
            hidden = self.proj_in(hidden)
        height, width = hidden.shape[2:]
        hidden = hidden.permute(TOKENS_FIRST).flatten(1, 2)
        if self.linear:
            hidden = self.proj_in(hidden)
        for block in self.transformer_blocks:
            hidden = block(hidden, context)
        if self.linear:
            hidden = self.proj_out(hidden)
        hidden = hidden.unflatten(1, (height, width)).permute(CHANNELS_FIRST)
        return x + (hidden if self.linear else self.proj_out(hidden))


class Sampler(nn.Module):
    def __init__(self, width: int, is_down: bool):
        super().__init__()
        self.is_down = is_down
        self.conv = nn.Conv2d(width, width, 3, stride=2 if is_down else 1, padding=1)

    def forward(self, x):
        return self.conv(x if self.is_down else F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Block(nn.Module):
    """One resolution. `widths` has the input channels of each resnet; `heads` of 0 means no attention."""

    def __init__(self, widths: list, out: int, config: dict, *, heads: int, layers: int, sampler: str):
        super().__init__()
        time = 4 * config["block_out_channels"][0]
        self.resnets = nn.ModuleList(Resnet(width, out, time, config["norm_num_groups"]) for width in widths)
        self.attentions = nn.ModuleList(Transformer(out, config, heads, layers) for _ in widths) if heads else None
        if sampler:
            setattr(self, sampler, nn.ModuleList([Sampler(out, sampler == "downsamplers")]))

    def layer(self, index: int, x, time, context):
        x = self.resnets[index](x, time)
        return x if self.attentions is None else self.attentions[index](x, context)


class MiddleBlock(nn.Module):
    def __init__(self, width: int, config: dict, heads: int, layers: int):
        super().__init__()
        time = 4 * config["block_out_channels"][0]
        self.resnets = nn.ModuleList(Resnet(width, width, time, config["norm_num_groups"]) for _ in range(2))
        self.attentions = nn.ModuleList([Transformer(width, config, heads, layers)])

    def forward(self, x, time, context):
        return self.resnets[1](self.attentions[0](self.resnets[0](x, time), context), time)


class PlainUNet(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        config = {**DEFAULTS, **config}
        widths = config["block_out_channels"]
        per_block = lambda value: value if isinstance(value, list) else [value] * len(widths)
        heads, layers = per_block(config["attention_head_dim"]), per_block(config["transformer_layers_per_block"])
        count, time = config["layers_per_block"], 4 * widths[0]
        self.first, self.added = widths[0], config["addition_time_embed_dim"]
        self.conv_in = nn.Conv2d(4, widths[0], 3, padding=1)
        self.time_embedding = Embedding(widths[0], time)
        if self.added:
            self.add_embedding = Embedding(config["projection_class_embeddings_input_dim"], time)
        self.down_blocks, self.up_blocks, skips, width = nn.ModuleList(), nn.ModuleList(), [widths[0]], widths[0]
        for index, (out, kind) in enumerate(zip(widths, config["down_block_types"])):
            sampler = "downsamplers" if index < len(widths) - 1 else ""
            attends = heads[index] if kind.startswith("CrossAttn") else 0
            into = [width] + [out] * (count - 1)
            self.down_blocks.append(Block(into, out, config, heads=attends, layers=layers[index], sampler=sampler))
            skips += [out] * (count + bool(sampler))
            width = out
        self.mid_block = MiddleBlock(width, config, heads[-1], layers[-1])
        for index, (out, kind) in enumerate(zip(reversed(widths), config["up_block_types"])):
            at = len(widths) - 1 - index
            into = []
            for _ in range(count + 1):
                into.append(width + skips.pop())
                width = out
            attends = heads[at] if kind.startswith("CrossAttn") else 0
            sampler = "upsamplers" if at > 0 else ""
            self.up_blocks.append(Block(into, out, config, heads=attends, layers=layers[at], sampler=sampler))
        self.conv_norm_out = nn.GroupNorm(config["norm_num_groups"], widths[0], 1e-5)
        self.conv_out = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, sample, timestep, context, text_embeds=None, time_ids=None):
        dtype = sample.dtype
        time = self.time_embedding(sinusoid(timestep.expand(sample.shape[0]), self.first).to(dtype))
        if self.added:
            ids = sinusoid(time_ids.flatten(), self.added).reshape(sample.shape[0], -1).to(dtype)
            time = time + self.add_embedding(torch.cat([text_embeds, ids], dim=1))
        x = self.conv_in(sample)
        skips = [x]
        for block in self.down_blocks:
            for index in range(len(block.resnets)):
                x = block.layer(index, x, time, context)
                skips.append(x)
            for sampler in getattr(block, "downsamplers", ()):
                x = sampler(x)
                skips.append(x)
        x = self.mid_block(x, time, context)
        for block in self.up_blocks:
            for index in range(len(block.resnets)):
                x = block.layer(index, torch.cat([x, skips.pop()], dim=1), time, context)
            for sampler in getattr(block, "upsamplers", ()):
                x = sampler(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
