"""One training run: set up, resume, loop, save."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from cooanalysis import models
from cooanalysis.environment import peak_rss_bytes, versions
from cooanalysis.errors import ConfigError, CooError, RunDirectoryError, TrainingError
from cooanalysis.progress import Progress, Silent
from cooanalysis.training import checkpoint
from cooanalysis.training.config import TrainConfig
from cooanalysis.training.crops import Crops, Share, load_training_images
from cooanalysis.training.setup import (
    build_average,
    build_discriminator,
    build_generator,
    build_objective,
    build_optimiser,
    find_datasets,
    learning_rate_factor,
    require_packages,
)
from cooanalysis.training.steps import Networks, anywhere, step
from cooanalysis.training.validate import Validation, to_unit

WEIGHTS_FILE, METRICS_FILE = "weights.safetensors", "metrics.csv"
CONFIG_FILE, SUMMARY_FILE = "config.yaml", "summary.json"
IMAGES_FOLDER, BOARD_FOLDER = "images", "tensorboard"
_FINGERPRINT_FILE = "fingerprint"


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
    note: Callable[[str], None] | None = None,
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
        Number of processes, each with a device of its own (on the CPU: gloo processes). They
        share each batch.
    overwrite
        Whether a run of another configuration in ``out`` may be thrown away.
    progress, note
        Where steps are reported; what is called with a line that the user should read.

    Returns
    -------
    dict
        What ``summary.json`` holds.

    Raises
    ------
    CooError
        One of :mod:`cooanalysis.errors`: wrong configuration, missing data, a loss that is not
        finite (:class:`~cooanalysis.errors.TrainingError`), a directory that cannot be written.
        The last good checkpoint stays.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after the step at hand was finished and saved.
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
    fabric = _fabric(config, device, devices)
    with _claim(folder, config, overwrite):
        finished = folder / SUMMARY_FILE
        if finished.is_file():
            return dict(json.loads(finished.read_text(encoding="utf-8")))
        # Everything that can be wrong with the arguments shows before processes are started.
        generator = build_generator(config)
        build_objective(config), build_discriminator(config)
        datasets = find_datasets(config.data.train, config.scale, data_root, download)
        held_out = find_datasets(config.data.validation, config.scale, data_root, download)
        fabric.launch()
        cache = None if config.data.cache is None else Path(config.data.cache)
        images = load_training_images(datasets, cache)
        validation = Validation.load(held_out, config.scale) if fabric.is_global_zero else None
        run = _Run(config, folder, fabric, generator, validation, report, tell)
        run.loop(images)
        return run.finish([dataset.title for dataset in datasets])


class _Run:
    """State of a run between its steps: what a checkpoint holds."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        fabric: Any,
        generator: nn.Module,
        validation: Validation | None,
        progress: Progress,
        note: Callable[[str], None],
    ) -> None:
        self.config, self.folder, self.fabric = config, folder, fabric
        self.validation, self.progress = validation, progress
        self.plain = generator
        self.average = build_average(generator, config.ema)
        if self.average is not None:
            self.average.to(fabric.device)
        self.networks = self._networks(generator)
        self.objective = build_objective(config)
        for loss in self.objective.losses:
            loss.module.to(fabric.device)
        self.iteration = 0
        self.history: list[dict[str, float]] = []
        self.window: dict[str, list[float]] = {}
        self.seconds = 0.0
        state = checkpoint.newest(folder, note if fabric.is_global_zero else lambda line: None)
        if state is not None:
            self._restore(state)
        self.started = time.perf_counter() - self.seconds

    def _networks(self, generator: nn.Module) -> Networks:
        config = self.config
        optimiser = build_optimiser(generator, config.optimiser, config.optimiser.learning_rate)
        module, optimiser = self.fabric.setup(generator, optimiser)
        discriminator = build_discriminator(config)
        if discriminator is None or config.gan is None:
            return Networks(module, optimiser)
        second = build_optimiser(discriminator, config.optimiser, config.gan.learning_rate)
        discriminator, second = self.fabric.setup(discriminator, second)
        return Networks(module, optimiser, discriminator, second)

    def loop(self, images: list[Any]) -> None:
        """Train until the last iteration."""
        config, fabric = self.config, self.fabric
        loader = self._loader(images)
        self.progress.start("training", config.iterations)
        self.progress.advance(self.iteration)
        self.networks.generator.train()
        with self._board() as board, _stop_signals() as stop:
            for lr, hr in loader:
                # A step draws from its own stream, so a resumed run needs no memory of it.
                torch.manual_seed(_stream(config.seed, self.iteration, fabric.global_rank))
                self._set_learning_rate()
                values = step(
                    fabric, self.networks, self.objective, to_unit(lr), to_unit(hr), self.iteration
                )
                if self.average is not None:
                    self.average.update_parameters(self.plain)
                self.iteration += 1
                for name, value in values.items():
                    self.window.setdefault(name, []).append(value)
                self._log(board)
                self.progress.advance()
                # A signal may reach only one of several processes, or each at another step.
                if anywhere(fabric, bool(stop)):
                    self.save()
                    raise KeyboardInterrupt
                every = config.checkpoint_every
                if every and self.iteration % every == 0 and self.iteration < config.iterations:
                    self.save()

    def _set_learning_rate(self) -> None:
        """A function of the iteration alone, so it needs no state."""
        config = self.config
        factor = learning_rate_factor(config.schedule, self.iteration, config.iterations)
        for group in self.networks.optimiser.param_groups:
            group["lr"] = config.optimiser.learning_rate * factor

    def _loader(self, images: list[Any]) -> Any:
        config, fabric = self.config, self.fabric
        crops = Crops(
            images,
            scale=config.scale,
            crop=config.data.crop,
            seed=config.seed,
            augment=config.data.augment,
            n=config.iterations * config.data.batch_size,
        )
        share = Share(
            batch=config.data.batch_size,
            start=self.iteration,
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

    def _board(self) -> AbstractContextManager[_Board | None]:
        if not self.fabric.is_global_zero:
            return nullcontext()
        return _Board(self.folder / BOARD_FOLDER, self.iteration)

    def _log(self, board: _Board | None) -> None:
        config, last = self.config, self.iteration == self.config.iterations
        due = self.iteration % config.log_every == 0 or last
        every = config.validate_every
        validate = last or (every > 0 and self.iteration % every == 0)
        if not (due or validate):
            return
        row = {"iteration": float(self.iteration)}
        row |= {name: sum(values) / len(values) for name, values in self.window.items()}
        row["learning_rate"] = float(self.networks.optimiser.param_groups[0]["lr"])
        self.window.clear()
        if validate and self.validation is not None and self.validation.pairs:
            row["psnr_y"] = self.validation.psnr(self.best, self.fabric.device)
        self.history.append(row)
        if board is not None:
            board.add(self.iteration, row)

    @property
    def best(self) -> nn.Module:
        """The weights to use: the moving average where there is one."""
        return self.plain if self.average is None else self.average.module

    def save(self) -> None:
        """Write a checkpoint and the metrics so far."""
        self._check_weights()
        if self.fabric.is_global_zero:
            self.seconds = time.perf_counter() - self.started
            checkpoint.save(self.folder, self.iteration, self._state(), keep=self.config.keep)
            self._write_metrics()
        self.fabric.barrier()

    def _check_weights(self) -> None:
        # A finite loss can have a gradient that is not, and the next loss would come too late.
        if not all(bool(torch.isfinite(value).all()) for value in self.plain.parameters()):
            raise TrainingError(
                f"the weights became infinite or NaN before iteration {self.iteration}; the last "
                "good checkpoint is kept. Try a lower optimiser.learning_rate or a gradient_clip "
                "of 1"
            )

    def _state(self) -> dict[str, Any]:
        networks = self.networks
        state: dict[str, Any] = {
            "iteration": self.iteration,
            "generator": networks.generator.state_dict(),
            "optimiser": networks.optimiser.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "history": self.history,
            "window": self.window,
            "seconds": self.seconds,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if networks.discriminator is not None and networks.discriminator_optimiser is not None:
            state["discriminator"] = networks.discriminator.state_dict()
            state["discriminator_optimiser"] = networks.discriminator_optimiser.state_dict()
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        networks = self.networks
        networks.generator.load_state_dict(state["generator"])
        networks.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if networks.discriminator is not None and networks.discriminator_optimiser is not None:
            networks.discriminator.load_state_dict(state["discriminator"])
            networks.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.history, self.window = state["history"], state["window"]

    def _write_metrics(self) -> None:
        table = pd.DataFrame(self.history)
        checkpoint.write(self.folder / METRICS_FILE, lambda path: table.to_csv(path, index=False))

    def finish(self, titles: list[str]) -> dict[str, Any]:
        """Write the weights and the record of the run, the record last."""
        self._check_weights()
        config = self.config
        last = self.history[-1]
        summary: dict[str, Any] = {
            "iterations": config.iterations,
            "parameters": models.count_parameters(self.plain),
            "data": titles,
            "metrics": {k: v for k, v in last.items() if k not in ("iteration", "learning_rate")},
            "seconds": round(time.perf_counter() - self.started, 1),
            "device": str(self.fabric.device),
            "processes": self.fabric.world_size,
            "peak_rss_bytes": peak_rss_bytes(),
            "seed": config.seed,
            "command": sys.argv,
            "config": config.as_dict(),
            "versions": versions(),
        }
        if self.fabric.is_global_zero:
            self._write_metrics()
            metadata = {
                "data": ", ".join(titles),
                "iterations": str(config.iterations),
                "seed": str(config.seed),
                "config": json.dumps(config.as_dict(), sort_keys=True),
            }
            try:
                if self.validation is not None and self.validation.pairs:
                    pictures = self.folder / IMAGES_FOLDER
                    self.validation.save(
                        self.best, self.fabric.device, pictures, config.validation_images
                    )
                models.save_weights(
                    self.folder / WEIGHTS_FILE,
                    self.best,
                    name=config.model.name,
                    scale=config.scale,
                    options=config.model.options,
                    metadata=metadata,
                )
            except OSError as error:
                raise RunDirectoryError(f"cannot write {self.folder}: {error}") from error
            text = json.dumps(summary, indent=2) + "\n"
            checkpoint.write(
                self.folder / SUMMARY_FILE, lambda path: path.write_text(text, encoding="utf-8")
            )
            for path in self.folder.glob(checkpoint.PATTERN):
                path.unlink()
        self.fabric.barrier()
        return summary


class _Board:
    """TensorBoard's file, written row by row.

    tensorboardX's SummaryWriter leaves that to a thread. It dies of a full disk, and whoever logs
    then waits for it forever.

    Parameters
    ----------
    folder
        Where the file lands.
    start
        Iterations that are done; TensorBoard hides rows of earlier files beyond them.
    """

    def __init__(self, folder: Path, start: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder = folder
        with self._writing():
            folder.mkdir(exist_ok=True)
            self._file = EventsWriter(str(folder / "events"), f".{os.getpid()}")
            session = SessionLog(status=SessionLog.START)
            self._file.write_event(
                Event(wall_time=time.time(), step=start + 1, session_log=session)
            )

    def add(self, iteration: int, row: dict[str, float]) -> None:
        """Write the values of an iteration."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "iteration"
        ]
        with self._writing():
            self._file.write_event(
                Event(wall_time=time.time(), step=iteration, summary=Summary(value=values))
            )
            self._file.flush()

    def __enter__(self) -> _Board:
        return self

    def __exit__(self, *error: object) -> None:
        # What could not be flushed was reported already.
        with suppress(OSError):
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunDirectoryError(
                f"cannot write {self._folder}: {error}; is the disk full?"
            ) from error


def dry_run(
    config: TrainConfig,
    *,
    data_root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Check a configuration without training: build everything, and time a step of one crop.

    Returns
    -------
    dict
        ``parameters``, ``discriminator_parameters``, ``seconds_per_crop`` (second step, one crop),
        ``data`` (images found by data set), ``missing`` (a line for each data set or loss that
        cannot be had here, and how to get it), ``device``, ``peak_memory_bytes``.

    Raises
    ------
    ConfigError, ModelError
        If the configuration makes no sense.
    """
    require_packages()
    if device == "cpu" or not torch.cuda.is_available():
        # Mixed precision is for GPUs; most CPUs are many times slower in it.
        config = dataclasses.replace(config, precision="32-true")
    fabric = _fabric(config, device, 1)
    missing: list[str] = []
    found: dict[str, int] = {}
    for name in (*config.data.train, *config.data.validation):
        try:
            found[name] = len(find_datasets((name,), config.scale, data_root, False)[0].pairs)
        except CooError as error:
            missing.append(f"data set {name}: {error}")
    specs = []
    for spec in config.losses:
        try:
            build_objective(TrainConfig(losses=(spec,)))
            specs.append(spec)
        except ImportError as error:
            missing.append(f"loss {spec.get('type')}: {error}")
    values = config.as_dict() | {"losses": specs or [{"type": "L1Loss"}]}
    if config.init is not None and not Path(config.init).is_file():
        missing.append(f"init: no weights file {config.init}")
        values["init"] = None
    checked = TrainConfig.from_dict(values)
    generator = build_generator(checked)
    run = _Run(checked, Path(os.devnull), fabric, generator, None, Silent(), lambda line: None)
    crop, scale = config.data.crop, config.scale
    lr = torch.rand(1, 3, crop, crop, device=fabric.device)
    hr = torch.rand(1, 3, crop * scale, crop * scale, device=fabric.device)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        step(fabric, run.networks, run.objective, lr, hr, run.objective.warm_up)
        seconds = time.perf_counter() - start
    on_gpu = fabric.device.type == "cuda"
    critic = run.networks.discriminator
    return {
        "parameters": models.count_parameters(generator),
        "discriminator_parameters": 0 if critic is None else models.count_parameters(critic),
        "seconds_per_crop": seconds,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else peak_rss_bytes(),
        "data": found,
        "missing": missing,
        "device": str(fabric.device),
    }


def _fabric(config: TrainConfig, device: str, devices: int) -> Any:
    from lightning_fabric import Fabric

    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be one of auto, cpu, cuda; got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda was asked for, but torch sees no CUDA GPU; use --device cpu")
    on_gpu = torch.cuda.is_available() and device != "cpu"
    if on_gpu and devices > torch.cuda.device_count():
        raise ConfigError(
            f"devices must be at most the number of GPUs, {torch.cuda.device_count()}; "
            f"got {devices}"
        )
    return Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        precision=cast(Any, config.precision),
    )


def _stream(*key: int) -> int:
    """A seed that depends on all of ``key``."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def _claim(folder: Path, config: TrainConfig, overwrite: bool) -> Iterator[None]:
    """Make the directory ours: locked, and without the remains of another configuration."""
    if os.environ.get("LOCAL_RANK", "0") != "0":  # a process that the first one started
        yield
        return
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise RunDirectoryError(
            f"another process is training in {folder}; wait for it or choose another --out"
        ) from error
    except OSError as error:
        raise RunDirectoryError(f"cannot write {folder}: {error}") from error
    try:
        _check_folder(folder, config, overwrite)
        yield
    finally:
        lock.release()


def _check_folder(folder: Path, config: TrainConfig, overwrite: bool) -> None:
    marker = folder / _FINGERPRINT_FILE
    ours = marker.read_bytes() if marker.is_file() else None
    known = (".lock", checkpoint.partial_of(marker).name)
    if ours is None and any(path.name not in known for path in folder.iterdir()):
        raise RunDirectoryError(
            f"{folder} holds files but is not a training directory; choose another --out"
        )
    same = ours == config.fingerprint().encode()
    if ours is not None and not same and not overwrite:
        raise RunDirectoryError(
            f"{folder} holds a run of another configuration; choose another --out or add "
            "--overwrite"
        )
    from omegaconf import OmegaConf

    text = OmegaConf.to_yaml(OmegaConf.create(config.as_dict()))
    try:
        if not same:
            _clear(folder)
            # First of all files: without it, what a killed process leaves is nobody's.
            checkpoint.write(marker, lambda path: path.write_text(config.fingerprint()))
        if not (folder / CONFIG_FILE).is_file():
            checkpoint.write(
                folder / CONFIG_FILE, lambda path: path.write_text(text, encoding="utf-8")
            )
        for path in folder.glob(".*.tmp"):  # of a killed process
            path.unlink()
    except RunDirectoryError:
        raise
    except OSError as error:
        raise RunDirectoryError(f"cannot write {folder}: {error}") from error


def _clear(folder: Path) -> None:
    """Remove what a run wrote, and nothing else; its marker stays."""
    # The record first: without it, no half of a run passes for a finished one.
    for name in (SUMMARY_FILE, WEIGHTS_FILE, METRICS_FILE, CONFIG_FILE):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(checkpoint.PATTERN):
        path.unlink()
    for name in (IMAGES_FOLDER, BOARD_FOLDER):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM, so that a step is never cut in two; a second one is immediate."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        old = {
            number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # not the main thread: signals are somebody else's business
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
