"""Run records: what was run, with what, on what, and what came out."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

from ..data import checks
from ..data.files import atomic_write
from ..data.names import safe_label
from .claims import claim_of
from .fingerprints import PLACES, used_code
from .format import sealed_record
from .intervals import Difference, paired_difference
from .locks import writable
from .notebooks import cells_of
from .paths import project_root, record_path, run_folder

PACKAGES = (
    "torch",
    "torchvision",
    "fastai",
    "kornia",
    "numpy",
    "scikit-image",
    "scikit-learn",
    "ldr_lib",
)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _git_revision() -> str | None:
    def git(*arguments):
        done = subprocess.run(
            ["git", *arguments],
            cwd=project_root(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "ldr_lib")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _device() -> str:
    """What computed: the GPU, or the processor's instructions, the number of threads and, where
    networks were used, their precision.
    """
    torch, used = (sys.modules.get(name) for name in ("torch", "ldr_lib.device"))
    if torch is None:
        return platform.machine()
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    described = f"cpu, {torch.get_num_threads()} threads"
    described = used.describe(torch.device("cpu")) if used else described
    return f"{described}, {torch.backends.cpu.get_cpu_capability()}"


def peak_memory_mib() -> dict[str, int]:
    """Largest memory this process has held so far, in MiB, and on the GPU where there is one."""
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = {"process": round(peak / (2**20 if sys.platform == "darwin" else 2**10))}
    except ImportError:
        memory = {}
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        memory["gpu"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return memory


def _plain(value, name: str):
    """A value as a record holds it: tables by rows, rounded; numbers of numpy as Python's.

    Raises:
        ValueError: A record cannot hold it.
    """
    try:
        if isinstance(value, pd.DataFrame):
            return json.loads(value.round(4).to_json(orient="index"))
        return json.loads(json.dumps(value, default=_as_python))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{name} must be numbers, texts, lists, dictionaries or tables with a name for each "
            f"row, not {checks.shown(value)}"
        ) from error


def _as_python(value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no plain value")


class Run:
    """One run of a notebook or script; its folder receives `record.json`, the figures and their
    numbers.

    Args:
        name: The notebook's name, for example "00_quickstart".
        parameters: Everything that was chosen, plain values; must hold "seed".
        out_dir: Folder of the run; "" takes runs/<name> of this project (or $LDR_RUNS/<name>).

    Attributes:
        folder: Where everything is written.

    Raises:
        DataError: Nothing can be written there; the message says what to do.
        ValueError: The parameters hold no seed or what a record cannot hold, or out_dir is no path.

    Taught in notebook 00, section 1.
    """

    def __init__(self, name: str, parameters: dict, out_dir: str = ""):
        if not isinstance(parameters, dict) or "seed" not in parameters:
            raise ValueError(
                f'parameters must be a dictionary that holds "seed", not {checks.shown(parameters)}'
            )
        parameters = {key: _plain(one, f"parameter {key}") for key, one in parameters.items()}
        checks.text(name, "name")
        chosen = checks.path(out_dir, "out_dir") if checks.given(out_dir) else run_folder(name)
        self.folder = writable(chosen)
        self.started = time.perf_counter()
        self.record = {
            "name": name,
            "parameters": parameters,
            "seed": parameters["seed"],
            "started": time.strftime("%Y-%m-%d %H:%M:%S"),
            "versions": _versions(),
            "git_revision": _git_revision(),
            "machine": f"{platform.system()} {platform.machine()}",
            "data": {},
            "metrics": {},
            "claims": {},
            "figures": [],
        }

    def data(self, **fingerprints: str) -> None:
        """Notes the fingerprint of the images used under a role, for example train=..., test=..."""
        for role, fingerprint in fingerprints.items():
            self.record["data"][role] = checks.text(fingerprint, role)

    def metrics(self, **values) -> None:
        """Notes results: numbers, or tables as DataFrames.

        Raises:
            ValueError: A record cannot hold a value; it is named.
        """
        for name, value in values.items():
            self.record["metrics"][name] = _plain(value, name)

    def claim(self, sentence: str, better: np.ndarray, worse: np.ndarray) -> Difference:
        """Tests that one quantity exceeds another, prints and records the outcome.

        Args:
            sentence: As in `notebooks/claims.yaml`.
            better: What is claimed to be larger: a number, (images,) or (runs, images), nan where
                an image lacks the structure.
            worse: The other, paired with it.

        Returns:
            The difference with its 95 % interval over the test images of this run; `.state()` says
            "supported", "not supported" or "undecided". The ledger (notebook 06) adds the seeds.

        Raises:
            DataError: The notebook has claims in the ledger and this is none of them.
            ValueError: The two are no numbers, or differ in shape.
        """
        sentence = checks.text(sentence, "sentence")
        known = claim_of(self.record["name"], sentence)
        difference = paired_difference(better, worse)
        state = difference.state(known.bound if known else 0.0)
        values = [np.round(np.asarray(side, dtype=float), 4) for side in (better, worse)]
        better, worse = (np.where(np.isnan(side), None, side).tolist() for side in values)
        self.record["claims"][sentence] = {"state": state, "better": better, "worse": worse}
        means = " against ".join(f"{np.nanmean(side):.3f}" for side in values)
        print(f"{state:13s} {sentence}: {means}, difference {difference}")
        return difference

    def figure(self, figure, name: str, numbers: pd.DataFrame | None = None) -> None:
        """Saves a matplotlib figure as PNG and what it draws as CSV beside it.

        Args:
            figure: The figure.
            name: Of its files.
            numbers: What it draws.

        Raises:
            ValueError: There is no figure, no name, or the numbers are no table.
        """
        if not hasattr(figure, "savefig"):
            raise ValueError(f"figure must be one of matplotlib, not {checks.shown(figure)}")
        if numbers is not None:
            checks.instance(numbers, pd.DataFrame, "numbers", "a DataFrame")
        name = checks.text(name, "name")
        path = self.folder / f"{safe_label(name)}.png"
        figure.patch.set_in_layout(True)  # "tight" would cut off margins, and so the width
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="png", dpi=100, bbox_inches="tight")
        if numbers is not None:
            with atomic_write(path.with_suffix(".csv")) as temporary:
                numbers.round(4).to_csv(temporary)
        self.record["figures"].append(path.name)

    def finish(self) -> Path:
        """Writes `record.json`, with a checksum of all that it holds, and returns its path."""
        self.record["device"] = _device()
        self.record["code"] = used_code()
        notebook = project_root() / "notebooks" / f"{self.record['name']}.ipynb"
        if notebook.exists():
            cells, names = cells_of(notebook)
            if set(names) - set(PLACES) == set(self.record["parameters"]):  # made by the notebook
                self.record["cells"] = cells
        self.record["wall_seconds"] = round(time.perf_counter() - self.started, 1)
        self.record["peak_memory_mib"] = peak_memory_mib()
        path = self.folder / "record.json"
        with atomic_write(path) as temporary:
            kept = json.dumps(sealed_record(self.record), indent=1)
            temporary.write_text(f"{kept}\n", encoding="utf-8")
        return path

    def keep(self, label: str) -> Path:
        """Finishes and copies the record to `figures/<name>/records/<label>.json` of this project;
        returns that path.
        """
        kept = record_path(self.record["name"], label)
        record = self.finish()
        with atomic_write(kept) as temporary:
            shutil.copyfile(record, temporary)
        return kept
