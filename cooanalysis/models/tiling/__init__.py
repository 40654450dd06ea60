"""From a low-resolution image to a model's output: in tiles, without seams, in bounded memory.

An image that does not fit the memory budget is upscaled in tiles that see more than what is kept
of them. How much more is *measured*: the model runs on a piece of the image and on the same piece
with two sides cut off, and the distance from the cut up to which the two outputs differ is its
reach. With at least that overlap, the tiled output is that for the whole image. A model whose
reach has no bound in sight (global attention, pooling over the image) has its tiles blended
smoothly instead, and a note says so.
"""

from cooanalysis.models.tiling.arrays import torch_to_uint8, uint8_to_torch
from cooanalysis.models.tiling.runner import InferenceWarning
from cooanalysis.models.tiling.upscaling import reach, upscale

__all__ = ["InferenceWarning", "reach", "torch_to_uint8", "uint8_to_torch", "upscale"]
