"""Errors that a user can fix. Each carries one sentence: what is wrong, where, what to do.

The command line prints the sentence and exits with :attr:`CooError.exit_code`;
anything that is not a :class:`CooError` is a bug and keeps its traceback.
"""

from __future__ import annotations


class CooError(Exception):
    """Base class of all errors that the user, not the developer, can fix."""

    exit_code = 1


class ConfigError(CooError, ValueError):
    """An argument has an invalid value; the message names both."""

    exit_code = 2


class DatasetNotFoundError(CooError, FileNotFoundError):
    """A data set or folder does not exist (and could not be downloaded)."""

    exit_code = 3


class DownloadError(DatasetNotFoundError):
    """A download failed or its checksum did not match."""


class ImageError(CooError, ValueError):
    """An image cannot be used; the message names the file and the reason."""

    exit_code = 4


class NotEnoughDataError(CooError, ValueError):
    """There are too few patches (or images) for the configuration."""

    exit_code = 4


class MissingDependencyError(CooError, ImportError):
    """An optional package is needed; the message names the extra to install."""

    exit_code = 5


class RunDirectoryError(CooError, OSError):
    """The output directory cannot be used: other content, locked, or not writable."""

    exit_code = 6


class CacheError(CooError, OSError):
    """Decoded images cannot be kept: the disk is full, or the folder is not writable."""

    exit_code = 6


class ModelError(CooError, ValueError):
    """A model cannot be used: a broken or unknown checkpoint, a wrong scale, a NaN output."""

    exit_code = 7


class ClusterError(CooError, OSError):
    """Workers cannot be reached, differ from this machine, or were lost."""

    exit_code = 8


class TrainingError(CooError, ArithmeticError):
    """Training cannot continue: a loss is not finite."""
