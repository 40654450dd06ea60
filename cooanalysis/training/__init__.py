"""Training of super-resolution networks: plain, with DECLoss, with an adversary.

Built on Lightning Fabric: the loop stays ours and readable, and one CPU, one GPU, many GPUs and
mixed precision are Fabric's business. (accelerate would do as well; it brings the hub client and
its own configuration wizard along.)
"""

from __future__ import annotations

from cooanalysis.training.config import TrainConfig, read_config
from cooanalysis.training.rehearsal import dry_run
from cooanalysis.training.run import train

__all__ = ["TrainConfig", "dry_run", "read_config", "train"]
