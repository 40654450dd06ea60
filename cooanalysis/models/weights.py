"""Weights as safetensors files that name the network they belong to.

safetensors holds tensors and text, never code, so opening an untrusted file is safe.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cooanalysis.errors import MissingDependencyError, ModelError
from cooanalysis.models.construct import build

_PREFIX = "cooanalysis."
FORMAT = "1"


@dataclass(frozen=True)
class WeightsInfo:
    """Metadata of a weights file.

    Attributes
    ----------
    name, scale, options
        The arguments for :func:`cooanalysis.models.build`.
    metadata
        Anything else that was written: data, iterations, seed, command.
    """

    name: str
    scale: int
    options: dict[str, Any]
    metadata: dict[str, str]


def save_weights(
    path: str | Path,
    module: nn.Module,
    *,
    name: str,
    scale: int,
    options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the weights of a network made by :func:`cooanalysis.models.build`.

    The file appears complete or not at all.

    Parameters
    ----------
    path
        File to write, ``.safetensors``.
    module
        The network.
    name, scale, options
        How it was built.
    metadata
        Additional text to store in the file.
    """
    save = _safetensors().torch.save
    target = Path(path)
    header = dict(metadata or {}) | {
        f"{_PREFIX}format": FORMAT,
        f"{_PREFIX}model": name,
        f"{_PREFIX}scale": str(scale),
        f"{_PREFIX}options": json.dumps(dict(options or {}), sort_keys=True),
    }
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            file.write(save(state, metadata=header))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def read_info(path: str | Path) -> WeightsInfo:
    """Read the metadata of a weights file, without its tensors.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or was not written by :func:`save_weights`.
    """
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = dict(file.metadata() or {})
    except FileNotFoundError as error:
        raise ModelError(f"no weights file {path}") from error
    except Exception as error:  # SafetensorError, OSError, and anything a damaged header causes
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{path} is not a safetensors file, or is damaged: {reason:.300}"
        ) from error
    try:
        if header[f"{_PREFIX}format"] != FORMAT:
            raise ModelError(
                f"{path} has format {header[f'{_PREFIX}format']}, this version reads {FORMAT}; "
                "update cooanalysis"
            )
        name = header[f"{_PREFIX}model"]
        scale = int(header[f"{_PREFIX}scale"])
        options = json.loads(header[f"{_PREFIX}options"])
    except ModelError:  # a ValueError, too
        raise
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} does not name the network that it belongs to") from error
    if not isinstance(options, dict):
        raise ModelError(f"{path} does not name the network that it belongs to")
    rest = {key: value for key, value in header.items() if not key.startswith(_PREFIX)}
    return WeightsInfo(name, scale, options, rest)


def load_weights(path: str | Path) -> nn.Module:
    """Build the network that a weights file belongs to, and load its weights.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on the CPU, float32.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or does not fit its network.
    """
    info = read_info(path)
    try:
        state = _safetensors().torch.load_file(str(path))
        # Allocate nothing first: a few bytes of header could ask for any number of weights.
        with torch.device("meta"):
            shapes = {
                key: value.shape
                for key, value in build(info.name, scale=info.scale, **info.options)
                .state_dict()
                .items()
            }
        wrong = [key for key in shapes if key not in state or state[key].shape != shapes[key]]
        if wrong or state.keys() - shapes.keys():
            raise ValueError(f"{len(wrong)} of {len(shapes)} tensors are missing or misshapen")
        module = build(info.name, scale=info.scale, **info.options)
        module.load_state_dict(state)
    except ModelError:
        raise
    except Exception as error:  # options of the wrong type or size can raise almost anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} does not fit the network {info.name!r}: {reason}") from error
    return module.eval()


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError(
            "weights files need safetensors; install it with `pip install 'cooanalysis[train]'`"
        ) from error
    return safetensors
