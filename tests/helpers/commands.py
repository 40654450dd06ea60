"""Commands in processes that a server forks, so that their imports, seconds each, happen once.

Each command is also started the way a user does, somewhere in its tests: only that shows what
happens while Python starts and ends.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from experiments.robustness.kills import call, server


def run(
    command: str,
    *words: str,
    cwd: Path | None = None,
    figures: bool = False,
    prepare: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run ``analyze``, ``compare`` or ``train`` on one thread and return what it printed.

    It finds no ``COO_DATA_HOME``, and its run directory has figures only if asked for.
    ``prepare`` is Python code that the process runs first.
    """
    with tempfile.TemporaryDirectory() as folder:
        shown, said = (Path(folder) / name for name in ("stdout", "stderr"))
        place = (str(cwd or Path.cwd()), dict(os.environ), {1: str(shown), 2: str(said)})
        process = server().Process(target=_call, args=(command, words, figures, prepare, *place))
        process.start()
        process.join(300)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"coo-{command} does not end")
        assert process.exitcode is not None
        texts = (path.read_text(encoding="utf-8") for path in (shown, said))
        return subprocess.CompletedProcess([f"coo-{command}", *words], process.exitcode, *texts)


def _call(
    command: str, words: tuple[str, ...], figures: bool, prepare: str,
    cwd: str, environment: dict[str, str], files: dict[int, str],
) -> None:  # fmt: skip
    from threadpoolctl import threadpool_limits

    for number, path in files.items():
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    threadpool_limits(1)
    exec(prepare, {})
    call(command, [*words], figures=figures)
