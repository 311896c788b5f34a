"""Increments of torchsde's Brownian tree, as diffusers' BatchedBrownianTree makes it, for test/noise/.
Usage: make_brownian_vectors.py > test/noise/brownian-vectors.json"""
import json

import torch
import torchsde

COUNT = 18
PATHS = [(0, 0.0292, 14.6146), (7, 0.1, 1.0), (2**32 + 5, 0.002, 80.0), (2**53 - 1, 0.5, 0.75)]
# As parts of the interval; in an order that no solver asks in.
QUERIES = [(0.0, 1.0), (0.5, 1.0), (0.25, 0.75), (0.1, 0.1001), (0.3, 0.9), (0.0, 0.0001), (0.7, 0.7)]

out = []
for seed, start, end in PATHS:
    tree = torchsde.BrownianInterval(t0=start, t1=end, size=(COUNT,), dtype=torch.float32, entropy=seed, tol=1e-6, pool_size=24, halfway_tree=True)
    for low, high in QUERIES:
        ends = [start + part * (end - start) for part in (low, high)]
        increments = [float(format(float(x), ".9g")) for x in tree(*ends)]
        out.append(dict(seed=seed, interval=[start, end], ends=ends, increments=increments))
print("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]")
