"""The folder in which torch keeps downloaded weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def checkpoints_folder() -> Path:
    """Folder of torch.hub's checkpoints, determined as torch does, but without importing it.

    See https://docs.pytorch.org/docs/stable/hub.html for the environment variables.
    """
    if (torch := sys.modules.get("torch")) is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"
