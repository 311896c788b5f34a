"""How far rounding alone moves an image.

Another processor adds in another order, so its float32 results differ in the last bits. A tiny network with random weights can make much of that. Such an image
proves nothing: diffusers itself does not repeat it. Here the weights move instead, each to one of its two neighbours in float32 or not at all, which
is an error of the same size, and any machine can do it.
"""
from collections.abc import Callable

import numpy as np
import torch

TRIES = 3
# Of 255. Where images moved by 0.5 to 0.7, text2img was 2 away from diffusers on some processors.
LARGEST_MOVE = 0.2


def largest_move(pipe: object, draw: Callable[[], list], images: list) -> float:
    """The largest change of a number, of 0 to 255 and not rounded, over some tries. The pipeline has its weights back afterwards."""
    parameters = [parameter for module in pipe.components.values() if isinstance(module, torch.nn.Module) for parameter in module.parameters()]
    own = [parameter.detach().clone() for parameter in parameters]
    largest = 0.0
    for attempt in range(TRIES):
        generator = torch.Generator().manual_seed(attempt)
        for parameter, weights in zip(parameters, own):
            direction = torch.randint(-1, 2, weights.shape, generator=generator)
            parameter.data.copy_(torch.where(direction == 0, weights, torch.nextafter(weights, direction * torch.inf)))
        largest = max(largest, *(float(np.abs(moved - image).max()) for moved, image in zip(draw(), images, strict=True)))
    for parameter, weights in zip(parameters, own):
        parameter.data.copy_(weights)
    return largest
