"""What a script does with webuiapi: construction, models, images, progress, png_info, interrupt. Prints one JSON object; the test reads it."""
import json
import sys
import threading
import time

import webuiapi

host, port, key, slow_prompt = sys.argv[1:5]
api = webuiapi.WebUIApi(host=host, port=int(port), sampler="DPM++ 2M", steps=2)
if key:
    api.set_auth("any", key)

seen = {
    "scripts": api.get_scripts(),
    "models": api.util_get_model_names(),
    "samplers": api.util_get_sampler_names(),
    "schedulers": api.util_get_scheduler_names(),
    "memory": api.get_memory(),
    "refresh": api.refresh_checkpoints(),
    "cmd_flags": api.get_cmd_flags(),
    "upscalers": api.get_upscalers(),
    "latent": api.get_latent_upscale_modes(),
    "vae": api.get_sd_vae(),
    "loras": api.get_loras(),
    "embeddings": api.get_embeddings(),
}
api.util_set_model(seen["models"][-1])
api.util_wait_for_ready(check_interval=0.1)
seen["current_model"] = api.util_get_current_model()

made = api.txt2img(prompt="a fox", negative_prompt="blurry", seed=5, width=64, height=64, batch_size=2, n_iter=2, scheduler="karras")
seen["sizes"] = [image.size for image in made.images]
seen["info"] = made.info
seen["parameters"] = made.parameters
seen["png_info"] = api.png_info(made.images[0]).info
seen["pnginfo_text"] = made.images[0].info.get("parameters")

stopped = {}
thread = threading.Thread(target=lambda: stopped.update(result=api.txt2img(prompt=slow_prompt, steps=600, width=64, height=64)))
other = webuiapi.WebUIApi(host=host, port=int(port))
if key:
    other.set_auth("any", key)
thread.start()
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    progress = other.get_progress()
    if progress["state"]["job_count"] == 1 and progress["state"]["sampling_step"] > 0:
        break
    time.sleep(0.05)
seen["progress"] = {name: progress[name] for name in ("progress", "eta_relative", "state")}
other.interrupt()
thread.join(60)
seen["interrupted"] = {"images": len(stopped["result"].images), "infotexts": stopped["result"].info["infotexts"]}
other.util_wait_for_ready(check_interval=0.1)
seen["ready"] = other.get_progress()["progress"]
print(json.dumps(seen))
