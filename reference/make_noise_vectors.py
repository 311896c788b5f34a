"""torch's CPU noise, for test/noise/. Usage: make_noise_vectors.py > test/noise/vectors.json"""
import same_arithmetic  # noqa: F401, I001 (before torch)

import hashlib
import json

import torch

SEEDS = [0, 1, 42, 2**31, 2**32 - 1, 2**32, 2**32 + 42, 2**53 - 1]
CALLS = [[16], [32], [17], [40], [1, 1, 1], [3, 16, 2, 33, 1], [15, 15], [700]]
MANY = 2**18
out = []
for seed in SEEDS:
    for calls in CALLS:
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(n, generator=generator) for n in calls]
        # Of long draws the end suffices: it depends on everything before.
        out.append(dict(seed=seed, calls=calls, ends=[[float(x) for x in values[-20:]] for values in drawn]))
# Of many numbers their bytes' digest: rare roundings are among them.
digests = []
for seed in SEEDS:
    drawn = torch.randn(MANY, generator=torch.Generator().manual_seed(seed))
    digests.append(dict(seed=seed, count=MANY, sha256=hashlib.sha256(drawn.numpy().tobytes()).hexdigest()))
integers = []
for seed in SEEDS:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 2**32, (1300,), generator=generator, dtype=torch.int64)
    integers.append(dict(seed=seed, first=values[:3].tolist(), last=values[-3:].tolist()))
print(json.dumps(dict(normals=out, digests=digests, integers=integers)))
