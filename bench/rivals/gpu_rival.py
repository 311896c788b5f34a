"""UNet passes in PyTorch for `npm run bench:gpu`: on the same weights and inputs, with diffusers' UNet where it is installed, else with plain_unet.py.

The argument is the step's task (`torch` in bench/gpu/step.ts, with the model's folder). It prints a row for each batch. Exit code 3: no PyTorch that can use
the device.
"""
import json
import math
import os
import struct
import sys
import time

ENOUGH_SECONDS, FEWEST_PASSES, MOST_PASSES = 1.5, 3, 20
TOKENS = 77

try:
    import torch
except ModuleNotFoundError:
    sys.exit(3)

try:
    from diffusers import UNet2DConditionModel
except Exception:  # diffusers that does not fit its transformers fails in many ways
    UNet2DConditionModel = None

TASK = json.loads(sys.argv[1])
DEVICE = torch.device(TASK["device"])


def say(what: str, **values) -> None:
    print(json.dumps({"row": {"what": what, **values}}), flush=True)


def load_weights(path: str) -> dict:
    """A safetensors file of float16, read without its package."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = bytearray(file.read())
    numbers = torch.frombuffer(data, dtype=torch.float16)
    return {
        name: numbers[entry["data_offsets"][0] // 2 : entry["data_offsets"][1] // 2].reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def open_unet(config: dict, weights: dict):
    """`run(sample, timestep, context, pooled, ids)` and the module."""
    stated = {name: value for name, value in config.items() if not name.startswith("_")}
    if UNet2DConditionModel is None:
        from plain_unet import PlainUNet

        kind, make = "plain PyTorch", lambda: PlainUNet(stated)
    else:
        kind, make = "diffusers", lambda: UNet2DConditionModel(**stated)
    with torch.device("meta"):
        module = make()
    module.load_state_dict(weights, assign=True)
    return module.eval(), kind


def call(module, inputs: dict):
    if UNet2DConditionModel is None:
        return module(*inputs.values())
    sample, timestep, context, *added = inputs.values()
    keywords = {"added_cond_kwargs": dict(zip(("text_embeds", "time_ids"), added))} if added else {}
    return module(sample, timestep, context, return_dict=False, **keywords)[0]


def wave(*shape: int):
    """sin(0), sin(1), …, as bench/gpu/open-graph.ts makes them."""
    return torch.arange(math.prod(shape), dtype=torch.float64).sin().float().reshape(shape)


def inputs_of(batch: int, config: dict, dtype) -> dict:
    size, width = TASK["latents"], config["cross_attention_dim"]
    found = {"sample": wave(batch, 4, size, size), "timestep": torch.tensor([500.0]), "context": wave(batch, TOKENS, width)}
    ids = config.get("addition_time_embed_dim")
    if ids:
        pixels = 8.0 * size
        found["text_embeds"] = wave(batch, config["projection_class_embeddings_input_dim"] - 6 * ids)
        found["time_ids"] = torch.tensor([[pixels, pixels, 0, 0, pixels, pixels]]).repeat(batch, 1)
    exact = ("timestep", "time_ids")
    return {name: value.to(DEVICE, torch.float32 if name in exact else dtype) for name, value in found.items()}


def wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def seconds_of(run) -> float:
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def keep(name: str, result) -> None:
    values = result[0].float().cpu().numpy()
    values.tofile(os.path.join(TASK["outputs"], f"{name}.f32"))


def memory() -> dict:
    return {"memoryBytes": torch.cuda.max_memory_reserved(DEVICE)} if DEVICE.type == "cuda" else {}


def measure(module, config: dict, dtype, name: str) -> None:
    for batch in TASK["batches"]:
        inputs = inputs_of(batch, config, dtype)
        run = lambda: call(module, inputs)
        first, passes = seconds_of(run), []
        while len(passes) < FEWEST_PASSES or (sum(passes) < ENOUGH_SECONDS and len(passes) < MOST_PASSES):
            passes.append(seconds_of(run))
        median = sorted(passes)[len(passes) // 2]
        values = {"firstSeconds": first, "seconds": median, "passes": len(passes), "samplesPerSecond": batch / median}
        say(f"batch {batch}", **values, **memory())
        if batch == TASK["batches"][0]:
            keep(name, run())


def main() -> None:
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        sys.exit(3)
    torch.set_grad_enabled(False)
    unet = os.path.join(TASK["folder"], "unet")
    with open(os.path.join(unet, "config.json")) as file:
        config = json.load(file)
    weights = load_weights(os.path.join(unet, "diffusion_pytorch_model.safetensors"))
    start = time.perf_counter()
    if not TASK["isCompiled"]:
        # PyTorch computes convolutions with TensorFloat-32 unless it is told not to.
        torch.backends.cudnn.allow_tf32 = False
        module, _ = open_unet(config, {name: value.float() for name, value in weights.items()})
        module = module.to(DEVICE)
        keep("torch float32", call(module, inputs_of(1, config, torch.float32)))
        del module
        torch.backends.cudnn.allow_tf32 = True
    module, kind = open_unet(config, weights)
    module = module.to(DEVICE).to(memory_format=torch.channels_last)
    variant = "compiled" if TASK["isCompiled"] else "eager"
    if TASK["isCompiled"]:
        module.compile()
    say(f"load, {kind}, torch {torch.__version__}", seconds=time.perf_counter() - start, **memory())
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats(DEVICE)
    measure(module, config, torch.float16, f"torch {variant} float16")


main()
