"""Training of super-resolution networks: with pixel losses, DECLoss, or an adversary.

Built on Lightning Fabric: the loop stays explicit and readable, and one CPU, one GPU, many GPUs and
mixed precision are left to Fabric. (accelerate would do as well, but depends on the hub client and
has its own configuration wizard.)
"""

from __future__ import annotations

from cooanalysis.training.config import TrainConfig, read_config
from cooanalysis.training.rehearsal import dry_run
from cooanalysis.training.run import train

__all__ = ["TrainConfig", "dry_run", "read_config", "train"]
