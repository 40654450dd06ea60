"""The installed command, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from cooanalysis.data import sample_pairs
from tests.helpers import commands

SMALL = [
    "--queries", "300", "-k", "32", "--subspace-dim", "8", "--ceiling-queries", "50",
    "--manifold-reference", "1000", "--map-images", "1", "--features", "subbands",
]  # fmt: skip


def command() -> str:
    """The console script beside this interpreter."""
    name = "coo-analyze.exe" if sys.platform == "win32" else "coo-analyze"
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip("coo-analyze is not installed in this environment")
    return str(path)


def run(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "COO_DATA_HOME"} | environment
    return subprocess.run(
        [command(), *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for pair in sample_pairs()[:6]:
        Image.open(pair.hr_path).convert("RGB").crop((0, 0, 160, 160)).save(
            folder / f"{pair.name}.png"
        )
    return folder


def test_help_is_complete_and_imports_nothing_heavy() -> None:
    shown = run("--help", COLUMNS="100")
    assert shown.returncode == 0
    for text in ("--dataset", "--reference", "--json", "Examples", "Exit codes", "Measures"):
        assert text in shown.stdout
    probe = (
        "import sys, contextlib, io\n"
        "sys.argv = ['coo-analyze', '--help']\n"
        "from cooanalysis.cli.analyze import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main()\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'pandas', 'numba', 'faiss'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_analysis_does_not_import_torch(photos: Path) -> None:
    probe = (
        "import sys, cooanalysis as coo\n"
        f"coo.analyze({str(photos)!r}, queries=100, k=16, subspace_dim=4, map_images=0,\n"
        "            manifold_reference=500, features=('subbands',), device='cpu')\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_version() -> None:
    shown = run("--version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("cooanalysis 0.")


def test_whole_run_directory(photos: Path, tmp_path: Path) -> None:
    done = run("--dataset", str(photos), *SMALL, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Spearman" in done.stdout and "report.html" in done.stdout
    out = tmp_path / "run"
    assert json.loads((out / "summary.json").read_text())["n_queries"] == 300
    assert (out / "report.html").stat().st_size > 10_000
    assert len(list((out / "figures").glob("*.png"))) >= 5
    assert {p.stem for p in (out / "figures").glob("*.png")} == {
        p.stem for p in (out / "figures").glob("*.pdf")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

    started = time.monotonic()
    words = ["--dataset", str(photos), *SMALL, "--out", "run"]
    again = commands.run("analyze", *words, "--json", cwd=tmp_path)
    assert again.returncode == 0
    assert (
        json.loads(again.stdout)["created"]
        == json.loads((out / "summary.json").read_text())["created"]
    )
    assert time.monotonic() - started < 30

    refused = commands.run("analyze", *words, "--seed", "1", cwd=tmp_path)
    assert refused.returncode == 6
    assert one_line(refused) and "--overwrite" in refused.stderr
    quiet = commands.run("analyze", *words, "--seed", "1", "--overwrite", "-q", cwd=tmp_path)
    assert quiet.returncode == 0
    assert quiet.stdout == ""


def one_line(done: subprocess.CompletedProcess[str]) -> bool:
    return done.stderr.count("\n") == 1 and done.stderr.startswith("coo-analyze: error: ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--dataset", "no_such_set"], 3, "no_such_set"),
        (["--dataset", "./no/such/folder"], 3, "folder"),
        (["--dataset", "sample", "--scale", "5"], 2, "scale must be one of"),
        (["--dataset", "sample", "--estimators", "magic"], 2, "magic"),
        (["--dataset", "sample", "-k", "4"], 2, "k must be"),
        (["--dataset", "sample", "--recall", "2"], 2, "recall"),
        (["--dataset", "sample", "--engine", "faiss-gpu", "--device", "cpu"], 2, "faiss-gpu"),
        (["--dataset", "manga109"], 3, "--dataset sample"),
        (["--dataset", "urban100", "--no-download"], 3, "--dataset sample"),
    ],
)
def test_mistakes_are_one_clear_line(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = commands.run("analyze", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert one_line(done), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_unknown_option_and_wrong_type() -> None:
    assert run("--datasett", "sample").returncode == 2
    assert run("--scale", "four").returncode == 2


def test_output_that_cannot_be_used(photos: Path, tmp_path: Path) -> None:
    words = ["--dataset", str(photos), *SMALL, "--out"]
    (tmp_path / "file").write_text("mine")
    done = commands.run("analyze", *words, str(tmp_path / "file"))
    assert done.returncode == 6 and one_line(done)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    done = commands.run("analyze", *words, str(folder), "--overwrite")
    assert done.returncode == 6 and one_line(done)
    assert (folder / "precious.txt").read_text() == "mine"
    done = commands.run("analyze", *words, str(tmp_path / "file" / "below"))
    assert done.returncode == 6 and one_line(done), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_resumes(photos: Path, tmp_path: Path) -> None:
    for attempt in range(5):
        run = tmp_path / f"run-{attempt}"
        arguments = [command(), "--dataset", str(photos), *SMALL, "--out", str(run)]
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        partial = run.with_suffix(".partial")
        deadline = time.monotonic() + 300
        while not list(partial.glob("search-*.npz")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=300)
        if process.returncode:
            break
        # On a busy machine, all work may be done before the signal gets there.
        assert (run / "report.html").exists()
    assert process.returncode == 130, error
    assert error == "coo-analyze: interrupted; run the same command again to resume\n"
    assert not run.exists()
    assert commands.run("analyze", *arguments[1:]).returncode == 0
    assert (run / "report.html").exists()
    assert not partial.exists()


def test_div2k_as_typed_without_network(tmp_path: Path) -> None:
    """No data, no network: one line within seconds that says where to put the files."""
    started = time.monotonic()
    # A proxy that refuses connections stands for "no network" wherever this runs.
    dead = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY")}
    done = run("--dataset", "div2k", cwd=tmp_path, COO_DATA_HOME=str(tmp_path / "data"), **dead)
    assert done.returncode == 3, done.stderr
    assert one_line(done), done.stderr
    assert "DIV2K" in done.stderr and "--dataset sample" in done.stderr
    assert time.monotonic() - started < 30
