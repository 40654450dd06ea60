"""One training run: set up, resume, loop, save."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from cooanalysis import models
from cooanalysis.errors import ConfigError, CooError, RunDirectoryError
from cooanalysis.runtime.environment import peak_rss_bytes, versions
from cooanalysis.runtime.interrupt import stop_signals
from cooanalysis.runtime.progress import Progress, Silent
from cooanalysis.training import checkpoint, directory
from cooanalysis.training.config import TrainConfig
from cooanalysis.training.crops import Crops, Share
from cooanalysis.training.images import load_training_images
from cooanalysis.training.logs import Board, History
from cooanalysis.training.setup import (
    build_discriminator,
    build_fabric,
    build_generator,
    build_objective,
    determinism,
    find_datasets,
    require_packages,
)
from cooanalysis.training.trainer import Trainer
from cooanalysis.training.validate import Validation, to_unit

Note = Callable[[str], None]


def train(
    config: TrainConfig,
    *,
    out: str | Path,
    data_root: str | Path | None = None,
    download: bool = True,
    device: str = "auto",
    devices: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> dict[str, Any]:
    """Train a network, resuming where an earlier call in the same directory stopped.

    Parameters
    ----------
    config
        See :class:`TrainConfig` and :func:`read_config`.
    out
        Directory for checkpoints, ``weights.safetensors``, ``metrics.csv``, ``summary.json``,
        ``config.yaml``, validation images and TensorBoard logs.
    data_root, download
        See :func:`cooanalysis.analyze`.
    device
        ``auto``, ``cpu`` or ``cuda``.
    devices
        Number of processes, each with its own device (on the CPU: gloo processes). They
        share each batch. With more than one, this program is started again for each, so a script
        that calls this must do nothing else that must not happen twice; it does not work in a
        notebook.
    overwrite
        Whether a run of another configuration in ``out`` may be deleted.
    progress, note
        Where steps are reported; called with each line that the user should read.

    Returns
    -------
    dict
        The content of ``summary.json``.

    Raises
    ------
    CooError
        One of :mod:`cooanalysis.errors`: invalid configuration, missing data, a loss that is not
        finite (:class:`~cooanalysis.errors.TrainingError`), a directory that cannot be written.
        The last good checkpoint stays.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after the current step was finished and saved.

    Notes
    -----
    On the CPU, and with the same number of threads, an interrupted and resumed run ends with the
    weights of an uninterrupted one, bit by bit; on a GPU if ``config.deterministic`` is set and
    all operations have a deterministic form. Several processes give the weights of one process
    up to rounding if each loss is a mean over samples; DECLoss and the adversary compare samples
    with each other and see only those of their own process.
    """
    require_packages()
    folder, tell, report = Path(out), note or (lambda line: None), progress or Silent()
    if devices < 1:
        raise ConfigError(f"devices must be a whole number of at least 1; got {devices}")
    if config.data.batch_size % devices:
        raise ConfigError(
            f"data.batch_size ({config.data.batch_size}) must be a multiple of the number of "
            f"devices ({devices})"
        )
    fabric = build_fabric(config, device, devices)
    with directory.claim(folder, config, overwrite), determinism(config.deterministic):
        if (done := directory.finished(folder, config)) is not None:
            tell(f"the run in {folder} is finished; nothing to do")
            return done
        # Errors in the arguments are reported before processes are started.
        generator = build_generator(config)
        build_objective(config), build_discriminator(config)
        datasets = find_datasets(config.data.train, config.scale, data_root, download)
        held_out = find_datasets(config.data.validation, config.scale, data_root, download)
        inputs = directory.inputs_of(config, datasets)
        crops = Crops(
            load_training_images(
                datasets, cache=config.data.cache, memory_gib=config.data.memory, note=tell
            ),
            scale=config.scale,
            crop=config.data.crop,
            seed=config.seed,
            augment=config.data.augment,
            n=config.iterations * config.data.batch_size,
        )
        validation = Validation(config.scale)
        if not directory.is_child():
            validation = Validation.load(held_out, config.scale)
        fabric.launch()
        session = _Session(config, folder, fabric, generator, validation, inputs, tell)
        session.resume(overwrite)
        session.loop(crops, report)
        titles = [dataset.title for dataset in datasets]
        return session.finish(titles)


class _Session:
    """One process's part of a run, from a start or resumption to the end."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        fabric: Any,
        generator: Any,
        validation: Validation,
        inputs: dict[str, str],
        note: Note,
    ) -> None:
        self.config, self.folder, self.fabric = config, folder, fabric
        self.validation, self.inputs = validation, inputs
        self.note: Note = note if fabric.is_global_zero else lambda line: None
        self.trainer = Trainer(config, fabric, generator)
        self.history = History()
        self.started = time.perf_counter()
        self.board: Board | None = None

    def resume(self, overwrite: bool) -> None:
        """Continue from the newest usable checkpoint, if there is one."""
        state = self._first(lambda: self._usable(overwrite))
        if self.fabric.world_size > 1:
            # Broadcast instead of read again, so that all processes continue from the same one.
            state = self.fabric.broadcast(state)
        if state is None:
            return
        self.trainer.restore(state)
        self.history.rows, self.history.window = state["history"], state["window"]
        self.started -= state["seconds"]
        self.note(f"resuming after iteration {self.trainer.iteration}")

    def _usable(self, overwrite: bool) -> dict[str, Any] | None:
        state = checkpoint.newest(self.folder, self.config.fingerprint(), self.note)
        if state is None:
            return None
        try:
            directory.check_inputs(self.folder, self.inputs, state.get("inputs"))
        except RunDirectoryError:
            if not overwrite:
                raise
            for path in self.folder.glob(checkpoint.PATTERN):
                path.unlink()
            return None
        return state

    def loop(self, crops: Crops, progress: Progress) -> None:
        """Train until the last iteration."""
        config, trainer = self.config, self.trainer
        if self.fabric.is_global_zero:
            self.board = Board(self.folder / directory.BOARD_FOLDER, trainer.iteration, self.note)
        progress.start("training", config.iterations)
        progress.advance(trainer.iteration)
        try:
            with stop_signals() as stop:
                for lr, hr in self._loader(crops):
                    self.history.add(trainer.advance(to_unit(lr), to_unit(hr)))
                    self._report()
                    progress.advance()
                    if self._anywhere(bool(stop)):
                        self.save()
                        raise KeyboardInterrupt
                    every, done = config.checkpoint_every, trainer.iteration
                    if every and done % every == 0 and done < config.iterations:
                        self.save()
        except KeyboardInterrupt:
            if self.fabric.is_global_zero:
                raise
            raise SystemExit(130) from None  # only one process reports
        finally:
            if self.board is not None:
                self.board.close()

    def _loader(self, crops: Crops) -> Any:
        config, fabric = self.config, self.fabric
        share = Share(
            batch=config.data.batch_size,
            start=self.trainer.iteration,
            stop=config.iterations,
            rank=fabric.global_rank,
            world=fabric.world_size,
        )
        loader: DataLoader[Any] = DataLoader(
            crops,
            batch_sampler=share,
            num_workers=config.data.workers,
            pin_memory=fabric.device.type == "cuda",
        )
        return fabric.setup_dataloaders(loader, use_distributed_sampler=False)

    def _report(self) -> None:
        """Close a row of the history where one is due."""
        config, done = self.config, self.trainer.iteration
        last = done == config.iterations
        validate = last or (config.validate_every > 0 and done % config.validate_every == 0)
        if not (validate or done % config.log_every == 0):
            return
        more = {"learning_rate": self.trainer.learning_rate}
        if validate:
            self.trainer.check_finite()
            more |= self._first(self._validate) or {}
        row = self.history.close_row(done, more)
        if self.board is not None:
            self.board.add(done, {k: v for k, v in row.items() if k != "iteration"})

    def _validate(self) -> dict[str, float]:
        if not self.validation.pairs:
            return {}
        return self.validation.measure(self.trainer.best, self.fabric.device)

    def save(self) -> None:
        """Write a checkpoint and the metrics so far."""
        self.trainer.check_finite()
        self._first(self._save)

    def _save(self) -> None:
        state = self.trainer.state() | {
            "format": checkpoint.FORMAT,
            "fingerprint": self.config.fingerprint(),
            "inputs": self.inputs,
            "history": self.history.rows,
            "window": self.history.window,
            "seconds": time.perf_counter() - self.started,
        }
        if self.board is not None:
            self.board.flush()
        checkpoint.save(self.folder, self.trainer.iteration, state, keep=self.config.keep)
        self.history.write(self.folder / directory.METRICS_FILE)

    def finish(self, titles: list[str]) -> dict[str, Any]:
        """Write the weights and the record of the run, the record last."""
        self.trainer.check_finite()
        return self._first(lambda: self._finish(titles)) or {}

    def _finish(self, titles: list[str]) -> dict[str, Any]:
        config, folder, trainer = self.config, self.folder, self.trainer
        row = self.history.rows[-1]
        summary: dict[str, Any] = {
            "iterations": config.iterations,
            "parameters": models.count_parameters(trainer.generator),
            "data": titles,
            "metrics": {
                # JSON has no infinity, which is the PSNR of a perfect output.
                key: value if math.isfinite(value) else None
                for key, value in row.items()
                if key not in ("iteration", "learning_rate")
            },
            "seconds": round(time.perf_counter() - self.started, 1),
            "device": str(self.fabric.device),
            "processes": self.fabric.world_size,
            "peak_rss_bytes": peak_rss_bytes(),
            "seed": config.seed,
            "command": sys.argv,
            "config": config.as_dict(),
            "inputs": self.inputs,
            "versions": versions() | {"lightning-fabric": metadata.version("lightning-fabric")},
        }
        self.history.write(folder / directory.METRICS_FILE)
        try:
            if self.validation.pairs and config.validation_images:
                pictures = folder / directory.IMAGES_FOLDER
                count = config.validation_images
                self.validation.save(trainer.best, self.fabric.device, pictures, count)
            models.save_weights(
                folder / directory.WEIGHTS_FILE,
                trainer.best,
                name=config.model.name,
                scale=config.scale,
                options=config.model.options,
                metadata={
                    "data": ", ".join(titles),
                    "iterations": str(config.iterations),
                    "seed": str(config.seed),
                    "config": json.dumps(config.as_dict(), sort_keys=True),
                },
            )
        except CooError:
            raise
        except OSError as error:
            raise RunDirectoryError(f"cannot write {folder}: {error}") from error
        text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
        checkpoint.write(folder / directory.SUMMARY_FILE, lambda file: file.write(text.encode()))
        for path in folder.glob(checkpoint.PATTERN):
            path.unlink(missing_ok=True)
        return summary

    def _anywhere(self, here: bool) -> bool:
        """Whether any process was asked to stop: all must do so after the same step."""
        if self.fabric.world_size == 1:
            return here
        import torch

        flag = torch.tensor(float(here), device=self.fabric.device)
        return bool(self.fabric.all_reduce(flag, reduce_op="sum") > 0)

    def _first(self, action: Callable[[], Any]) -> Any:
        """Let the first process act and the others wait; where it fails, they end silently."""
        result, failure = None, None
        if self.fabric.is_global_zero:
            try:
                result = action()
            except CooError as error:
                failure = error
        failed = failure is not None
        if self.fabric.world_size > 1:
            failed = bool(self.fabric.broadcast(failed))
        if failure is not None:
            raise failure
        if failed:
            raise SystemExit(1)
        return result
