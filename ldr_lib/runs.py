"""Run records: what was run, with what, on what, and what came out; and running notebooks from the command line.

`python -m ldr_lib.runs execute notebooks/00_quickstart.ipynb` rewrites a notebook's outputs in place and its figures;
`python -m ldr_lib.runs sweep notebooks/00_quickstart.ipynb --grid seed=0,1,2 --keep` runs it over a grid, skips what is finished,
and keeps the records with the project;
`python -m ldr_lib.runs compare A B` says what differs between two runs;
`python -m ldr_lib.runs summary notebooks/00_quickstart.ipynb -p dataset chase_db1` prints the README's table of kept records.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import yaml

from .claims import claim_of
from .data.files import DataError, written_whole
from .execution import execute_in_place, keep_figures
from .places import project_root, runs_folder
from .stale import cells_of, used_code
from .sweep import grid_of, keep, read_parameters, sweep

PACKAGES = ("torch", "torchvision", "fastai", "kornia", "numpy", "scikit-image", "scikit-learn", "ldr_lib")


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
        done = subprocess.run(["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "ldr_lib")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


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


class Run:
    """One run of a notebook or script; its folder receives `record.json`, the figures and their numbers.

    Args:
        name: The notebook's name, for example "00_quickstart".
        parameters: Everything that was chosen, plain values; must hold "seed".
        out_dir: Folder of the run; "" takes runs/<name> of this project (or $LDR_RUNS/<name>).

    Attributes:
        folder: Where everything is written.

    Taught in notebook 00, section 1.
    """

    def __init__(self, name: str, parameters: dict, out_dir: str = ""):
        self.folder = Path(out_dir) if out_dir else runs_folder() / name
        self.folder.mkdir(parents=True, exist_ok=True)
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
        self.record["data"] |= fingerprints

    def metrics(self, **values) -> None:
        """Notes results: numbers, or tables as DataFrames."""
        for name, value in values.items():
            plain = json.loads(value.round(4).to_json(orient="index")) if isinstance(value, pd.DataFrame) else value
            self.record["metrics"][name] = plain

    def claim(self, sentence: str, better: float, worse: float) -> bool:
        """Tests that one number exceeds another by the claim's bound, prints and records the outcome.

        Args:
            sentence: As in `notebooks/claims.yaml`.
            better: The number that is claimed to be larger.
            worse: The other.

        Returns:
            Whether it does.

        Raises:
            DataError: The notebook has claims in the ledger and this is none of them.
        """
        known = claim_of(self.record["name"], sentence)
        holds = bool(better > worse + (known.bound if known else 0))
        self.record["claims"][sentence] = {"holds": holds, "better": round(float(better), 4), "worse": round(float(worse), 4)}
        print(f"{'holds      ' if holds else 'does not   '} {sentence}: {better:.3f} against {worse:.3f}")
        return holds

    def figure(self, figure, name: str, numbers: pd.DataFrame | None = None) -> None:
        """Saves a matplotlib figure as PNG and what it draws as CSV beside it."""
        path = self.folder / f"{name}.png"
        with written_whole(path) as temporary:
            figure.savefig(temporary, format="png", dpi=80, bbox_inches="tight")
        if numbers is not None:
            with written_whole(path.with_suffix(".csv")) as temporary:
                numbers.round(4).to_csv(temporary)
        self.record["figures"].append(path.name)

    def finish(self) -> Path:
        """Writes `record.json` and returns its path."""
        if "torch" in sys.modules:
            from .device import describe, pick_device

            self.record["device"] = describe(pick_device())
        self.record["code"] = used_code()
        notebook = project_root() / "notebooks" / f"{self.record['name']}.ipynb"
        if notebook.exists():
            self.record["cells"] = cells_of(notebook)[0]
        self.record["wall_seconds"] = round(time.perf_counter() - self.started, 1)
        self.record["peak_memory_mib"] = peak_memory_mib()
        path = self.folder / "record.json"
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(self.record, indent=1) + "\n")
        return path

    def keep(self, label: str) -> Path:
        """Finishes and copies the record to `figures/<name>/records/<label>.json` of this project; returns that path."""
        kept = project_root() / "figures" / self.record["name"] / "records" / f"{label}.json"
        record = self.finish()
        with written_whole(kept) as temporary:
            shutil.copyfile(record, temporary)
        return kept


def committed_records(name: str, **parameters) -> list[dict]:
    """Records of earlier runs of a notebook that are kept with the project, one per seed.

    Args:
        name: The notebook's name.
        parameters: Values that the records' parameters must have, for example dataset="simulated_fundus".

    Returns:
        The records, by seed.
    """
    paths = sorted((project_root() / "figures" / name / "records").glob("*.json"))
    records = [json.loads(path.read_text()) for path in paths]
    fitting = [r for r in records if all(r["parameters"].get(key) == value for key, value in parameters.items())]
    return sorted(fitting, key=lambda record: record["seed"])


def earlier_run(name: str, fingerprint: str, **parameters) -> Path | None:
    """The folder of an earlier run of a notebook on the same training images with these parameters, if there is one.

    Args:
        name: The notebook's name.
        fingerprint: Of the training images.
        parameters: Values that the run's parameters must have.
    """
    folder = runs_folder() / name
    try:
        record = json.loads((folder / "record.json").read_text())
        same = record["data"]["train"] == fingerprint and all(record["parameters"].get(key) == value for key, value in parameters.items())
    except (OSError, ValueError, KeyError):
        return None
    return folder if same else None


def _refuse_fewer_than_three(records: list[dict]) -> None:
    if len(records) < 3:
        raise ValueError(f"a comparison needs at least three seeds; {len(records)} records were found")


def over_seeds(records: list[dict], table: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation of a recorded table over records.

    Args:
        records: As `committed_records` returns them.
        table: Name under which the table was recorded.

    Returns:
        Mean and standard deviation (n - 1), DataFrames of the table's shape.

    Raises:
        ValueError: Fewer than three records.
    """
    _refuse_fewer_than_three(records)
    tables = [pd.DataFrame(record["metrics"][table]).T for record in records]
    stacked = pd.concat(tables, keys=range(len(tables)))
    by_row = stacked.groupby(level=1, sort=False)
    return by_row.mean(), by_row.std()


def summary(name: str, table: str = "agreement", **parameters) -> str:
    """The README's table of a notebook's kept runs, in Markdown.

    Args:
        name: The notebook's name.
        table: Name under which the table was recorded; rows "<what>, clusters" and "<what>, k-means".
        parameters: As in `committed_records`.

    Returns:
        One row for each <what>, with the better of its two clusterings in every run; mean ± standard deviation over runs.

    Raises:
        ValueError: Fewer than three records.
    """
    records = committed_records(name, **parameters)
    _refuse_fewer_than_three(records)
    better = []
    for record in records:
        rows = pd.DataFrame(record["metrics"][table]).T
        better.append(rows.groupby(rows.index.str.rsplit(", ").str[0], sort=False).max())
    by_row = pd.concat(better).groupby(level=0, sort=False)
    shown = by_row.mean().map("{:.2f}".format) + " ± " + by_row.std().map("{:.2f}".format)
    body = [[row, *values] for row, values in zip(shown.index, shown.values)]
    return as_markdown(["", *shown.columns], body)


def as_markdown(head: list[str], body: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def claims_over(records: list[dict]) -> pd.DataFrame:
    """In how many of the recorded runs each claim held, and by how much on average.

    Args:
        records: As `committed_records` returns them.

    Returns:
        One row per claim: "held in", "mean difference", "smallest difference".
    """
    rows = {}
    for sentence in records[0]["claims"]:
        outcomes = [record["claims"][sentence] for record in records]
        gaps = [outcome["better"] - outcome["worse"] for outcome in outcomes]
        rows[sentence] = {
            "held in": f"{sum(outcome['holds'] for outcome in outcomes)} of {len(records)}",
            "mean difference": round(sum(gaps) / len(gaps), 3),
            "smallest difference": round(min(gaps), 3),
        }
    return pd.DataFrame(rows).T


def compare(first: Path, second: Path) -> pd.DataFrame:
    """What differs between two runs.

    Args:
        first: A run's folder or its `record.json`.
        second: Another one.

    Returns:
        A row for each difference in parameters, versions, machine, code, data, results and claims; columns are the two runs. Tables
        are compared number by number.

    Raises:
        DataError: A record is missing or cannot be read.
    """
    sides = [_flat(_read_record(Path(path))) for path in (first, second)]
    rows = [(name, *(side.get(name, "") for side in sides)) for name in dict.fromkeys([*sides[0], *sides[1]])]
    table = pd.DataFrame([row for row in rows if row[1] != row[2]], columns=["what", str(first), str(second)])
    return table.set_index("what")


def _read_record(path: Path) -> dict:
    path = path / "record.json" if path.is_dir() else path
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no run record ({error})") from error


def _flat(value, name: str = "") -> dict:
    """Nested dictionaries as one, with names such as "parameters, seed"; what differs between any two runs is left out."""
    if not isinstance(value, dict):
        return {name: value}
    left_out = ("started", "wall_seconds", "peak_memory_mib", "figures")
    parts = (_flat(part, f"{name}, {key}" if name else key) for key, part in value.items() if name or key not in left_out)
    return {key: entry for part in parts for key, entry in part.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["execute", "sweep", "compare", "summary"])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a notebook; for compare two runs")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a parameter")
    parser.add_argument("-f", type=Path, help="a YAML file of parameters")
    parser.add_argument("--grid", action="append", default=[], metavar="NAME=VALUE,VALUE", help="an axis of a sweep")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--cluster", default="", help="address of a Dask scheduler")
    parser.add_argument("--keep", action="store_true", help="keep the records of a sweep with the project")
    chosen = parser.parse_args()
    notebook = chosen.paths[0]
    parameters = {name: yaml.safe_load(value) for name, value in chosen.p}
    try:
        if not all(path.exists() for path in chosen.paths):
            raise DataError(f"{next(path for path in chosen.paths if not path.exists())} does not exist")
        if chosen.what == "execute":
            shutil.rmtree(runs_folder() / notebook.stem, ignore_errors=True)
            execute_in_place(notebook)
            print(keep_figures(notebook.stem))
        elif chosen.what == "compare":
            if len(chosen.paths) != 2:
                raise DataError("compare needs two runs")
            print(compare(*chosen.paths).to_string() or "nothing differs")
        elif chosen.what == "summary":
            print(summary(notebook.stem, **parameters))
        else:
            fixed = (read_parameters(chosen.f) if chosen.f else {}) | parameters
            cells = [fixed | cell for cell in grid_of(chosen.grid)]
            table = sweep(notebook, cells, chosen.jobs, chosen.cluster)
            print(table.to_string(index=False))
            if chosen.keep:
                print(f"{len(keep(notebook, cells))} records kept")
            sys.exit(int((table["state"] == "failed").any()))
    except DataError as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "stopped; finished runs are kept and are skipped next time\n")


if __name__ == "__main__":
    main()
