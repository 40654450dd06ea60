"""Reading untrusted YAML: no pipes, no bombs."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

MAX_BYTES = 2**20
"""Largest size of a configuration file."""

MAX_NODES = 20_000
"""Most keys and values, with all anchors expanded."""

MAX_DEPTH = 50


def read_text(path: Path) -> str:
    """Text of a configuration file.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is not a regular file, larger than :data:`MAX_BYTES`, or not UTF-8.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("it is not a regular file")
    if state.st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return path.read_text(encoding="utf-8-sig")


def check_yaml(text: str) -> None:
    """Refuse YAML that grows without bounds when its anchors are expanded.

    Nine lines of YAML can stand for a billion values ("billion laughs"), and an anchor can hold
    itself. Both are detected in the graph of nodes, before anything is expanded.

    Raises
    ------
    ValueError
        If it grows beyond :data:`MAX_NODES` values, or is nested too deeply.
    yaml.YAMLError, RecursionError
        If it is not valid YAML, or nested beyond reason.
    """
    import yaml

    sizes: dict[int, int] = {}

    def size(node: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep, or holds itself")
        if (known := sizes.get(id(node))) is not None:
            return known
        total = 1
        if isinstance(node, yaml.MappingNode):
            total += sum(size(part, depth + 1) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(size(part, depth + 1) for part in node.value)
        if total > MAX_NODES:
            raise ValueError(f"it stands for more than {MAX_NODES} values")
        sizes[id(node)] = total
        return total

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        size(root, 0)
