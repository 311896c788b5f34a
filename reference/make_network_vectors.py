"""Inputs, weights and expected outputs of the layers and networks at tiny size, for test/networks/.

    python reference/make_network_vectors.py

writes test/networks/vectors/<group>.json (the cases) and <group>.safetensors (their tensors) for each group of layer_vectors.py and network_vectors.py.
With names of groups (`make_network_vectors.py clip unet`) only those are written.
test/networks/vectors/README.md says what stands in them. The modules are torch's, diffusers' and transformers' own. They compute in float64, so the
expected numbers hold more digits than either float32 side has; what torch itself loses in float32 is printed and written beside each case.
Weights and inputs are numbers that float16 holds exactly.
"""
import json
import sys
import warnings
from pathlib import Path

import torch
from diffusers.utils import logging
from network_vectors import NETWORK_GROUPS
from layer_vectors import layer_cases
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from vector_case import Case, exact

FOLDER = Path(__file__).resolve().parent.parent / "test" / "networks" / "vectors"


def compute(case: Case, dtype: torch.dtype, one_of_batch: bool = False) -> dict:
    if case.module is not None:
        case.module.to(dtype)
    inputs = {name: value.to(dtype) if value.is_floating_point() else value for name, value in case.inputs.items()}
    if one_of_batch:
        inputs = {name: value[:1] if case.dims[name][0] == "batch" else value for name, value in inputs.items()}
    outputs = case.run(inputs)
    return outputs if isinstance(outputs, dict) else {"y": outputs}


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


def own_copy(value: torch.Tensor) -> torch.Tensor:
    """safetensors stores no tensor whose memory another one shares."""
    return value.contiguous().clone()


def flops_of(case: Case, is_network: bool) -> int:
    """2 × multiply-adds of convolutions, matrices and attention (the CPU's fused attention would count as nothing); of a network for one of the batch."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        compute(case, torch.float64, one_of_batch=is_network)
    return counter.get_total_flops()


def write_group(group: str, cases: list) -> None:
    tensors, records, expected = {}, [], {}
    for case in cases:
        single = compute(case, torch.float32)
        double = compute(case, torch.float64)
        expected[case.name] = double
        own = max(distance(single[name], double[name]) for name in double)
        for name, value in case.inputs.items():
            tensors[f"{case.name}/inputs/{name}"] = own_copy(value.float() if value.is_floating_point() else value.int())
        for name, value in double.items():
            assert torch.isfinite(value).all() and value.abs().max() > 0.01, f"{case.name}: {name} says nothing"
            tensors[f"{case.name}/expected/{name}"] = own_copy(value.float())
        if case.weights_of is None:
            for name, value in case.weights.items():
                assert torch.equal(value.half().double(), value.double()), f"{case.name}: {name} is not exact in float16"
                tensors[f"{case.name}/weights/{name}"] = own_copy(value.half())
        else:
            # The same weights and inputs: only the option can make the difference.
            base = expected[case.weights_of]
            assert any(double[name].shape != base[name].shape or distance(double[name], base[name]) > 0.01 for name in double), case.name
        records.append({**case.record(), "flops": flops_of(case, group != "layers"), "torch_float32_error": float(f"{own:.1e}")})
        print(f"{group:7} {case.name:34} torch in float32 {own:.1e}  largest {max(float(v.abs().max()) for v in double.values()):9.3f}", flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f" {json.dumps(record, ensure_ascii=False)}" for record in records)
    (FOLDER / f"{group}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    save_file(tensors, FOLDER / f"{group}.safetensors")


def main() -> None:
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    assert torch.equal(exact(torch.tensor([0.1])).half().float(), exact(torch.tensor([0.1])))
    groups = {"layers": layer_cases, **NETWORK_GROUPS}
    for group in sys.argv[1:] or groups:
        write_group(group, groups[group]())
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
