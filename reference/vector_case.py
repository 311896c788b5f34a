"""What one case of make_network_vectors.py is, and the random numbers in it."""
from dataclasses import dataclass, field
from typing import Callable

import torch


def exact(values: torch.Tensor) -> torch.Tensor:
    """The nearest numbers that float16 holds, so that no weight and no input is rounded in either precision."""
    return values.half().float()


def normal(shape: list, seed: int, scale: float = 1.0) -> torch.Tensor:
    return exact(scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


@dataclass
class Case:
    name: str
    about: str
    # What the test calls: a function of src/networks/layers, or a network.
    operation: str
    # Input name -> its dimensions; a string is one that varies when the graph runs.
    dims: dict
    inputs: dict
    # Takes the inputs, gives the expected output or a dict of them.
    run: Callable
    # As the function under test takes them, or the configuration of a network.
    options: dict = field(default_factory=dict)
    module: torch.nn.Module | None = None
    # Before the names of the module's weights.
    prefix: str = ""
    # Another case whose weights and inputs these are.
    weights_of: str | None = None
    # Stored name of a weight, where it is another one than the module's.
    rename: Callable = staticmethod(lambda name: name)

    @property
    def weights(self) -> dict:
        if self.module is None:
            return {}
        return {self.rename(f"{self.prefix}{name}"): value for name, value in self.module.state_dict().items()}

    def record(self) -> dict:
        record = {"name": self.name, "about": self.about, "operation": self.operation, "options": self.options, "inputs": self.dims}
        return record if self.weights_of is None else {**record, "weights_of": self.weights_of}
