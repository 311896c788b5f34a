"""OpenVINO GenAI's Text2ImagePipeline, or one pass of the UNet that it runs, in float32 or bfloat16.

Its models are made from the PyTorch modules first, once, beside the checkpoint. The layout of the folder and the names of inputs and outputs are those
that openvino.genai reads: src/cpp/src/image_generation/, stable_diffusion_pipeline.hpp, stable_diffusion_xl_pipeline.hpp and models/*.cpp.
"""
import json
import time
from pathlib import Path

import rival


def measure(task: dict) -> dict:
    import openvino  # noqa: F401 — first, so that a missing package is named before anything is converted
    import openvino_genai
    import openvino_tokenizers  # noqa: F401

    folder = Path(task["checkpoint"]).with_suffix(".openvino")
    if not (folder / "model_index.json").exists():
        import openvino_models

        openvino_models.convert(task["shape"], task["checkpoint"], task["tokenizer"], folder)
    properties = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[task["computeType"]],
        "INFERENCE_NUM_THREADS": task["threads"],
    }
    start = time.perf_counter()
    if task["task"] == "pass":
        run = unet_pass(folder, properties)
    else:
        size = task["sizePx"]
        pipeline = openvino_genai.Text2ImagePipeline(str(folder))
        # Static shapes: the faster of its two ways.
        pipeline.reshape(1, size, size, task["guidanceScale"])
        pipeline.compile("CPU", **properties)
        run = lambda: pipeline.generate(  # noqa: E731
            task["prompt"],
            negative_prompt=task["negativePrompt"],
            num_inference_steps=task["steps"],
            guidance_scale=task["guidanceScale"],
            width=size,
            height=size,
            rng_seed=1,
        )
    load = time.perf_counter() - start
    return {"loadSeconds": load, "seconds": rival.repeat(task["count"], task["task"] == "pass", run)}


def unet_pass(folder: Path, properties: dict):
    import numpy
    import openvino

    core = openvino.Core()
    model = core.read_model(folder / "unet" / "openvino_model.xml")
    config = json.loads((folder / "unet" / "config.json").read_text())
    latents = config["sample_size"]
    shapes = {
        "sample": [1, 4, latents, latents],
        "timestep": [1],
        "encoder_hidden_states": [1, 77, config["cross_attention_dim"]],
        "text_embeds": [1, 1280],
        "time_ids": [1, 6],
    }
    names = [port.get_any_name() for port in model.inputs]
    model.reshape({name: shapes[name] for name in names})
    request = core.compile_model(model, "CPU", properties).create_infer_request()
    generator = numpy.random.default_rng(1)
    inputs = {name: generator.standard_normal(shapes[name], numpy.float32) for name in names}
    inputs["timestep"] = numpy.array([500], numpy.int64)
    return lambda: request.infer(inputs)


if __name__ == "__main__":
    rival.main(measure, ("openvino", "openvino-genai"))
