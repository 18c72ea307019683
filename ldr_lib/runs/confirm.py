"""Does changed code still compute the same? Short runs of an earlier revision and of the present
one, compared number by number.

A record of a long run is stale when the code behind it has changed. Where the change is one of
layout, names or messages, repeating the run would cost hours and show nothing. `confirm` makes
short declared runs in a checkout of the record's revision and in one of the present revision.
Only where all of their numbers are equal do the records of that revision, and others that the same
code made, count as current.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..data.errors import DataError
from ..data.files import atomic_write
from .fingerprints import CONFIRMATIONS, confirmations, read_record
from .paths import project_root
from .records import flat_record

GROUP = "probes"
"""The group of `notebooks/runs.yaml` that is compared if no other is named."""
COMPARED = ("metrics", "claims", "data")
"""Parts of a record that hold what was computed."""
LEFT_OUT = ("seconds", "minutes", "memory", "settings")
"""Words in the names of values that two runs of the same code need not share."""


def confirm(
    revision: str,
    data_dir: str = "",
    jobs: int = 2,
    present: dict[str, dict] | None = None,
    group: str = GROUP,
) -> dict[str, list[str]]:
    """Compares short runs of an earlier revision with those of the present one and notes the
    outcome in `figures/confirmed.json`.

    Args:
        revision: A revision of this project's history; it must know the commands that the declared
            runs use.
        data_dir: Folder of the datasets.
        jobs: Runs at once.
        present: The runs of the present revision, as `present_runs` makes them; None makes them.
        group: Name of the list of short runs in `notebooks/runs.yaml`.

    Returns:
        Name of each run to the names of the values that differ; all lists are empty where the two
        revisions compute the same.

    Raises:
        DataError: The project is no git checkout, has uncommitted changes, does not know the
            revision, or a run fails.

    Taught in notebook 06, section 2.
    """
    root = project_root()
    full = _git(root, "rev-parse", "--verify", f"{revision}^{{commit}}")
    present = present_runs(data_dir, jobs, group) if present is None else present
    earlier = _records_of(root, full, data_dir, jobs, group)
    outcome = {
        name: differing(record, present.get(name, {})) for name, record in sorted(earlier.items())
    }
    if not any(outcome.values()):
        _note(full, [(earlier[name], present[name]) for name in outcome])
    return outcome


def present_runs(data_dir: str = "", jobs: int = 2, group: str = GROUP) -> dict[str, dict]:
    """The short runs of the present revision: a run in words to its record.

    Args:
        data_dir: Folder of the datasets.
        jobs: Runs at once.
        group: Name of the list of short runs in `notebooks/runs.yaml`.

    Raises:
        DataError: The project is no git checkout, has uncommitted changes, or a run fails.
    """
    root = project_root()
    if _git(root, "status", "--porcelain", "--", "ldr_lib", "notebooks"):
        raise DataError("commit the changes in ldr_lib and notebooks first, then confirm")
    return _records_of(root, "HEAD", data_dir, jobs, group)


def differing(earlier: dict, present: dict) -> list[str]:
    """Names of the values of an earlier record that a present one lacks or holds otherwise.

    Values that are new in the present record do not count; neither do times, memory and settings.
    """
    then, now = (
        {name: flat_record(record.get(name, {}), name) for name in COMPARED}
        for record in (earlier, present)
    )
    return [
        name
        for part in COMPARED
        for name, value in then[part].items()
        if now[part].get(name) != value and not any(word in name for word in LEFT_OUT)
    ]


def _note(revision: str, records: list[tuple[dict, dict]]) -> None:
    """Keeps the code and cells of pairs of runs, of a revision and the present one, that computed
    the same.
    """
    equal = {}
    for earlier, present in records:
        of_notebook = equal.setdefault(present["name"], {"code": {}, "earlier": {"code": {}}})
        for noted, record in ((of_notebook, present), (of_notebook["earlier"], earlier)):
            noted["code"] |= record.get("code", {})
            if "cells" in record:
                noted["cells"] = record["cells"]
    noted = confirmations() | {revision: {"on": time.strftime("%Y-%m-%d"), "equal": equal}}
    with atomic_write(CONFIRMATIONS) as temporary:
        temporary.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")


def _records_of(root: Path, commit: str, data_dir: str, jobs: int, group: str) -> dict[str, dict]:
    """Makes the declared runs in a checkout of one commit."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkout"
        _git(root, "worktree", "add", "--detach", "--force", str(place), commit)
        try:
            return _runs_in(place, commit, data_dir, jobs, group)
        finally:
            _git(root, "worktree", "remove", "--force", str(place))


def _runs_in(place: Path, commit: str, data_dir: str, jobs: int, group: str) -> dict[str, dict]:
    for old in place.glob("figures/*/records/*.json"):
        old.unlink()
    shutil.copyfile(project_root() / "notebooks" / "runs.yaml", place / "notebooks" / "runs.yaml")
    words = ["-m", "ldr_lib", "records", group, "--jobs", str(jobs), "--data-dir", data_dir]
    own = {"PYTHONPATH": str(place), "LDR_RUNS": str(place / "runs"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env={name: value for name, value in os.environ.items() if name != "LDR_TIER"} | own,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise DataError(f"the runs of revision {commit} failed: {' / '.join(said[-5:])}")
    made = [read_record(path) for path in sorted(place.glob("figures/*/records/*.json"))]
    return {_what_ran(record): record for record in made}


def _what_ran(record: dict) -> str:
    """The run in words; files of records may be named otherwise at another revision."""
    chosen = sorted(record["parameters"].items())
    return " ".join([record["name"], *(f"{name}={value}" for name, value in chosen)])


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except FileNotFoundError as error:
        raise DataError("git is needed to compare revisions, and was not found") from error
    except subprocess.CalledProcessError as error:
        raise DataError(f"git {words[0]}: {error.stderr.strip()}") from error
    return done.stdout.strip()
