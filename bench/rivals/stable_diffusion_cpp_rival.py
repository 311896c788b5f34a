"""stable-diffusion.cpp as the `cyllama` wheel carries it: a whole image from the checkpoint's one file. It computes with the float16 weights of the file."""
import time

import rival


def measure(task: dict) -> dict:
    if task["task"] == "pass":
        return {"missing": "it has no call for one pass"}
    from cyllama.sd import SampleMethod, Scheduler, SDContext, SDContextParams

    size = task["sizePx"]
    start = time.perf_counter()
    context = SDContext(SDContextParams(model_path=task["checkpoint"], n_threads=task["threads"]))
    load = time.perf_counter() - start

    def run():
        images = context.generate(
            task["prompt"],
            negative_prompt=task["negativePrompt"],
            width=size,
            height=size,
            seed=1,
            sample_steps=task["steps"],
            cfg_scale=task["guidanceScale"],
            sample_method=SampleMethod.EULER,
            scheduler=Scheduler.DISCRETE,
        )
        if len(images) != 1:
            raise RuntimeError("it made no image")

    return {"loadSeconds": load, "seconds": rival.repeat(task["count"], False, run)}


if __name__ == "__main__":
    rival.main(measure, ("cyllama",))
