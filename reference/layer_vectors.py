"""The cases of src/networks/layers: each function with each of its options, beside the module of torch or diffusers that it stands for.

`options` are written as the function under test takes them. `dims` name the dimensions that vary when the graph runs.
"""
import torch
import torch.nn.functional as F
from diffusers.models.activations import get_activation
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from golden_checkpoint import shake
from transformers.activations import QuickGELUActivation
from vector_case import Case, exact, normal

MAP = ["batch", 6, "height", "width"]
TOKENS = ["batch", "tokens", 6]
# From far below to far above the bend of an activation, and both zeros.
SWEEP = exact(torch.cat([torch.linspace(-12, 12, 49), torch.tensor([-60.0, -30.0, -1e-3, -0.0, 1e-3, 30.0, 60.0, 1000.0])]).unsqueeze(0))


def shaken(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    shake(module, seed, gain=1.2)
    return module.eval()


def one(name: str, about: str, operation: str, dims: list, x: torch.Tensor, run=None, options: dict | None = None, module=None) -> Case:
    """A case with one input `x`."""
    if module is not None:
        shaken(module, seed=len(name) * 31 + sum(map(ord, name)))
    call = run or module
    return Case(name, about, operation, {"x": dims}, {"x": x}, lambda inputs: call(inputs["x"]), options or {}, module, prefix="layer.")


def convolutions() -> list:
    x = normal([2, 6, 5, 7], 1)
    padded = torch.nn.Conv2d(6, 4, 3, stride=2)
    return [
        one("conv2d", "3 × 3, one row around", "conv2d", MAP, x, options={"outChannels": 4}, module=torch.nn.Conv2d(6, 4, 3, padding=1)),
        one("conv2d-1x1", "1 × 1", "conv2d", MAP, x, options={"outChannels": 9, "kernel": 1}, module=torch.nn.Conv2d(6, 9, 1)),
        one("conv2d-5x5", "5 × 5, two rows around", "conv2d", MAP, x, options={"outChannels": 3, "kernel": 5}, module=torch.nn.Conv2d(6, 3, 5, padding=2)),
        one("conv2d-no-bias", "without a bias", "conv2d", MAP, x, options={"outChannels": 5, "bias": False}, module=torch.nn.Conv2d(6, 5, 3, padding=1, bias=False)),
        one("conv2d-stride", "stride 2, odd and even sides", "conv2d", MAP, normal([1, 6, 7, 8], 2), options={"outChannels": 4, "stride": 2}, module=torch.nn.Conv2d(6, 4, 3, stride=2, padding=1)),
        one(
            "conv2d-pads",
            "rows only above and on the left, two and one",
            "conv2d",
            MAP,
            x,
            lambda x: padded(F.pad(x, (1, 0, 2, 0))),
            {"outChannels": 4, "stride": 2, "pads": [2, 1, 0, 0]},
            padded,
        ),
    ]


def linears() -> list:
    tokens = normal([2, 5, 6], 3)
    return [
        one("linear", "with a bias", "linear", TOKENS, tokens, options={"outFeatures": 9}, module=torch.nn.Linear(6, 9)),
        one("linear-no-bias", "without a bias", "linear", TOKENS, tokens, options={"outFeatures": 4, "bias": False}, module=torch.nn.Linear(6, 4, bias=False)),
        one("linear-vector", "one vector", "linear", [1, 6], tokens[0, :1], options={"outFeatures": 7}, module=torch.nn.Linear(6, 7)),
    ]


def elementwise() -> list:
    x, y, row = normal([2, 6, 5, 7], 4), normal([2, 6, 5, 7], 5), normal([1, 6, 1, 1], 6)
    cases = []
    for name, run in (("add", torch.add), ("multiply", torch.mul)):
        call = lambda inputs, run=run: run(inputs["a"], inputs["b"])
        cases.append(Case(name, "two of one shape", name, {"a": MAP, "b": MAP}, {"a": x, "b": y}, call))
        cases.append(Case(f"{name}-channel", "one number for each channel", name, {"a": MAP, "b": [1, 6, 1, 1]}, {"a": x, "b": row}, call))
        cases.append(Case(f"{name}-wider", "the second has more dimensions", name, {"a": [7], "b": MAP[:3] + [7]}, {"a": y[0, 0, 0], "b": x}, call))
    cases.append(one("divide-by", "1.5", "divideBy", MAP, x, lambda x: x / 1.5, {"divisor": 1.5}))
    cases.append(one("divide-by-one", "1 changes nothing", "divideBy", MAP, x, lambda x: x, {"divisor": 1}))
    cases.append(one("silu", "x · sigmoid(x)", "silu", [1, "features"], SWEEP, F.silu))
    cases.append(one("quick-gelu", "x · sigmoid(1.702 x)", "quickGelu", [1, "features"], SWEEP, QuickGELUActivation()))
    cases.append(one("gelu", "with the error function", "gelu", [1, "features"], SWEEP, F.gelu))
    cases.append(one("mish", "x · tanh(ln(1 + eˣ))", "mish", [1, "features"], SWEEP, F.mish))
    cases.append(one("relu", "nothing below zero", "relu", [1, "features"], SWEEP, F.relu))
    for name in ("silu", "swish", "mish", "gelu", "relu"):
        cases.append(one(f"activate-{name}", "by its name", "activate", [1, "features"], SWEEP, get_activation(name), {"activation": name}))
    return cases


def shapes() -> list:
    a, b, c = normal([2, 6, 5, 3], 7), normal([2, 4, 5, 3], 8), normal([2, 1, 5, 3], 9)
    dims = {"a": MAP, "b": ["batch", 4, "height", "width"], "c": ["batch", 1, "height", "width"]}
    wide = normal([2, 6, 5, 4], 10)
    return [
        Case("concat", "three parts, by channels", "concat", dims, {"a": a, "b": b, "c": c}, lambda i: torch.cat([i["a"], i["b"], i["c"]], 1), {"axis": 1}),
        Case("concat-rows", "two parts, by width", "concat", {"a": MAP, "b": ["batch", 6, "height", "width2"]}, {"a": a, "b": wide}, lambda i: torch.cat([i["a"], i["b"]], 3), {"axis": 3}),
        Case("reshape-like", "a row into a map", "reshapeLike", {"x": ["batch", 6, "positions"], "like": MAP}, {"x": a.reshape(2, 6, 15), "like": a}, lambda i: i["x"].reshape(i["like"].shape)),
        one("to-tokens", "to tokens, and twice those back", "toTokens", MAP, a, lambda x: {"tokens": x.permute(0, 2, 3, 1).reshape(2, 15, 6), "restored": 2 * x}),
    ]


def norms() -> list:
    x, tokens = normal([2, 6, 5, 7], 11, 3.0), normal([2, 5, 6], 12, 3.0)
    # Channels far from zero, as in trained networks: the variance is not to be taken from a difference of large squares.
    far = exact(x + 100 * torch.arange(6).reshape(1, 6, 1, 1))
    # Of a group without variance only epsilon is left.
    flat = torch.full([1, 6, 4, 4], 2.0)
    flat[:, 3:] = normal([1, 3, 4, 4], 13, 0.01)
    group = lambda groups, epsilon: {"options": {"groups": groups, "epsilon": epsilon}, "module": torch.nn.GroupNorm(groups, 6, eps=epsilon)}
    return [
        one("layer-norm", "epsilon 1e-5", "layerNorm", TOKENS, tokens, module=torch.nn.LayerNorm(6)),
        one("layer-norm-epsilon", "a large epsilon", "layerNorm", TOKENS, tokens, options={"epsilon": 0.5}, module=torch.nn.LayerNorm(6, eps=0.5)),
        one("layer-norm-small", "numbers as small as epsilon", "layerNorm", TOKENS, exact(tokens * 1e-3), module=torch.nn.LayerNorm(6)),
        one("group-norm", "three groups of two", "groupNorm", MAP, x, **group(3, 1e-6)),
        one("group-norm-one", "one group", "groupNorm", MAP, x, **group(1, 1e-5)),
        one("group-norm-each", "a group for each channel, a large epsilon", "groupNorm", MAP, x, **group(6, 0.5)),
        one("group-norm-far", "channels far from zero", "groupNorm", MAP, far, **group(3, 1e-6)),
        one("group-norm-flat", "a group of equal numbers", "groupNorm", MAP, flat, **group(2, 1e-5)),
        one("group-norm-row", "[B, C, L]", "groupNorm", ["batch", 6, "length"], x.reshape(2, 6, 35), **group(2, 1e-5)),
    ]


def attention(name: str, about: str, heads: int, context: int | None = None, bias: bool = False) -> Case:
    width = 6 if context is None else context
    module = shaken(Attention(6, width, heads=heads, dim_head=6 // heads, bias=bias), seed=14 + heads + width)
    x, other = normal([2, 5, 6], 15, 2.0), normal([2, 7, width], 16, 2.0)
    options = {"heads": heads, **({"qkvBias": True} if bias else {})}
    if context is None:
        return Case(name, about, "attention", {"x": TOKENS}, {"x": x}, lambda i: module(i["x"]), options, module, prefix="layer.")
    dims = {"x": TOKENS, "context": ["batch", "prompt", width]}
    return Case(name, about, "attention", dims, {"x": x, "context": other}, lambda i: module(i["x"], i["context"]), options, module, prefix="layer.")


def fused_attention(name: str, about: str, masked: bool) -> Case:
    query, key, value = normal([2, 5, 6], 17, 2.0), normal([2, 7, 6], 18, 2.0), normal([2, 7, 6], 19)
    bias = normal([1, 1, 5, 7], 20, 3.0)
    bias[0, 0].masked_fill_(torch.ones(5, 7).triu(1).bool(), -65504)
    dims = {"query": TOKENS, "key": ["batch", "prompt", 6], "value": ["batch", "prompt", 6]}
    inputs = {"query": query, "key": key, "value": value}
    if masked:
        dims, inputs = {**dims, "bias": [1, 1, "tokens", "prompt"]}, {**inputs, "bias": bias}

    def run(i: dict) -> torch.Tensor:
        split = lambda x: x.unflatten(-1, (3, 2)).transpose(1, 2)
        return F.scaled_dot_product_attention(split(i["query"]), split(i["key"]), split(i["value"]), attn_mask=i.get("bias")).transpose(1, 2).flatten(2)

    return Case(name, about, "multiHeadAttention", dims, inputs, run, {"heads": 3})


def resnet(name: str, about: str, out: int = 6, time: bool = False, scale: float = 1.0, epsilon: float = 1e-6, act: str = "silu", norm: str = "default") -> Case:
    module = ResnetBlock2D(
        in_channels=6, out_channels=out, temb_channels=8 if time else None, groups=3, eps=epsilon, output_scale_factor=scale, non_linearity=act, time_embedding_norm=norm
    )
    shaken(module, seed=21 + out)
    dims, inputs = {"x": MAP}, {"x": normal([2, 6, 5, 7], 22)}
    if time:
        # The function under test takes the embedding after the activation; the module applies that itself.
        dims, inputs = {**dims, "time": [1, 8]}, {**inputs, "time": normal([1, 8], 23)}
    options = {"outChannels": out, "groups": 3, "epsilon": epsilon, **({} if scale == 1 else {"outputScaleFactor": scale})}
    options |= {**({} if act == "silu" else {"activation": act}), **({} if norm == "default" else {"timeScaleShift": True})}
    return Case(name, about, "resnetBlock2d", dims, inputs, lambda i: module(i["x"], i.get("time")), options, module, prefix="layer.")


def resamplers() -> list:
    up, down1, down0 = (shaken(module, 24) for module in (Upsample2D(6, use_conv=True), Downsample2D(6, use_conv=True, name="op"), Downsample2D(6, use_conv=True, padding=0, name="op")))
    x, odd, like = normal([2, 6, 3, 4], 25), normal([2, 6, 5, 8], 26), normal([2, 3, 5, 7], 27)
    case = lambda name, about, operation, module, x, options: Case(name, about, operation, {"x": MAP}, {"x": x}, lambda i: module(i["x"]), options, module, prefix="layer.")
    return [
        case("downsample2d", "padding 1, an odd and an even side", "downsample2d", down1, odd, {"padding": 1}),
        case("downsample2d-0", "padding 0: a row below, a column to the right", "downsample2d", down0, odd, {"padding": 0}),
        one("enlarge2d", "twice as large", "enlarge2d", MAP, x, torch.nn.Upsample(scale_factor=2, mode="nearest")),
        case("upsample2d", "twice as large", "upsample2d", up, x, {}),
        Case(
            "upsample2d-like",
            "as large as another map, which the double is not",
            "upsample2d",
            {"x": MAP, "like": ["batch", 3, "height2", "width2"]},
            {"x": x, "like": like},
            lambda i: up(i["x"], i["like"].shape[-2:]),
            {},
            up,
            prefix="layer.",
        ),
    ]


def timesteps() -> list:
    cases = []
    # 320 channels are Stable Diffusion's own; fractions are what Karras sigmas give.
    plans = [(320, True, 0, t) for t in (0.0, 1.0, 261.0, 999.0, 731.4)] + [(8, False, 0, 500.0), (8, True, 1, 981.0), (9, True, 0, 41.0), (8, True, -0.5, 981.0)]
    for channels, flip, shift, t in plans:
        projection = Timesteps(channels, flip, shift)
        cases.append(
            Case(
                f"timestep-projection-{channels}-{'cos' if flip else 'sin'}-{shift}-{t:g}",
                f"{channels} channels, {'cosine' if flip else 'sine'} first, freq_shift {shift}, timestep {t:g}",
                "timestepProjection",
                {"timestep": [1]},
                {"timestep": torch.tensor([t])},
                lambda i, projection=projection: projection(i["timestep"]),
                {"channels": channels, "flipSinToCos": flip, "freqShift": shift},
            )
        )
    sizes = torch.tensor([[1024.0, 768, 0, 16, 1152, 896], [512, 640, 32, 0, 512, 512]])
    for channels in (8, 5):
        projection = Timesteps(channels, True, 0)
        run = lambda i, projection=projection, channels=channels: projection(i["timestep"].flatten()).reshape(2, 6, channels)
        options = {"channels": channels, "flipSinToCos": True, "freqShift": 0}
        name, about = f"timestep-projection-sizes-{channels}", f"six sizes of two images, {channels} channels"
        cases.append(Case(name, about, "timestepProjection", {"timestep": ["batch", 6, 1]}, {"timestep": sizes.reshape(2, 6, 1)}, run, options))
    gelu = TimestepEmbedding(6, 12, act_fn="gelu")
    cases.append(one("timestep-embedding-gelu", "the MLP with another activation, for each image", "timestepEmbedding", ["batch", 6], normal([2, 6], 28), options={"outFeatures": 12, "activation": "gelu"}, module=gelu))
    cases.append(one("timestep-embedding", "the MLP", "timestepEmbedding", [1, 6], normal([1, 6], 28), options={"outFeatures": 12}, module=TimestepEmbedding(6, 12)))
    return cases


def transformer(name: str, about: str, options: dict, **settings) -> Case:
    module = Transformer2DModel(num_attention_heads=2, attention_head_dim=3, in_channels=6, norm_num_groups=3, cross_attention_dim=5, **settings)
    shaken(module, seed=29 + len(name))
    full = {"heads": 2, "groups": 3, "layers": 1, "useLinearProjection": False, "onlyCrossAttention": False, **options}
    inputs = {"x": normal([2, 6, 3, 5], 30), "encoderHiddenStates": normal([2, 7, 5], 31)}
    run = lambda i: module(i["x"], encoder_hidden_states=i["encoderHiddenStates"]).sample
    return Case(name, about, "transformer2d", {"x": MAP, "encoderHiddenStates": ["batch", "prompt", 5]}, inputs, run, full, module, prefix="layer.")


def layer_cases() -> list:
    return [
        *convolutions(),
        *linears(),
        *elementwise(),
        *shapes(),
        *norms(),
        attention("attention", "to itself", heads=2),
        attention("attention-context", "to a prompt of another width and length", heads=3, context=4),
        attention("attention-bias", "one head, projections with a bias", heads=1, bias=True),
        fused_attention("multi-head-attention", "three heads", masked=False),
        fused_attention("multi-head-attention-bias", "with a mask on the scores", masked=True),
        resnet("resnet", "as in the autoencoder"),
        resnet("resnet-wider", "a shortcut and a large epsilon", out=9, epsilon=0.5),
        resnet("resnet-time", "with the time embedding", time=True),
        resnet("resnet-scale-shift", "the time embedding scales and shifts", out=9, time=True, norm="scale_shift"),
        resnet("resnet-mish", "another activation", time=True, act="mish"),
        resnet("resnet-scale", "with the time embedding, a shortcut and a divisor", out=9, time=True, scale=1.5),
        *resamplers(),
        *timesteps(),
        transformer("transformer", "projections by convolution", {}),
        transformer("transformer-linear", "projections by matrices", {"useLinearProjection": True}, use_linear_projection=True),
        transformer("transformer-layers", "two layers", {"layers": 2}, num_layers=2),
        transformer("transformer-only-cross", "the first attention looks at the prompt too", {"onlyCrossAttention": True}, only_cross_attention=True),
    ]
