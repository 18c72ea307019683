"""Runs, records, sweeps, claims and the ledger."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ldr_lib import Run, explore, runs
from ldr_lib.runs.ledger import COLUMNS

from .inputs import images


def ledger_rows() -> pd.DataFrame:
    row = dict.fromkeys(COLUMNS, "") | dict(mechanism="ours", state="not run", low=np.nan, images=1)
    index = pd.MultiIndex.from_tuples([("a", "hrf")], names=["claim", "data"])
    return pd.DataFrame([row], index, COLUMNS, dtype=object)


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    x = images()
    figure = explore.contact_sheet([x[0]])
    records = [
        dict(
            name="n",
            seed=seed,
            parameters={},
            metrics={"agreement": {"a": {"NMI": 0.1 * seed}}},
            claims={"x": {"better": 1.0 + seed, "worse": 0.5}},
        )
        for seed in range(3)
    ]
    table = pd.DataFrame({"NMI": [0.1, 0.2]}, ["a", "b"])
    return {
        "Run": (
            Run,
            dict(name="x", parameters={"seed": 0}, out_dir=str(folder / "run")),
        ),
        "Run.claim": (
            Run("x", {"seed": 0}, str(folder / "run")).claim,
            dict(sentence="one", better=np.array([1.0, 2]), worse=np.array([0.5, 1])),
        ),
        "Run.metrics": (Run("x", {"seed": 0}, str(folder / "run")).metrics, dict(dice=0.5)),
        "Run.data": (Run("x", {"seed": 0}, str(folder / "run")).data, dict(train="abc")),
        "Run.figure": (
            Run("x", {"seed": 0}, str(folder / "run")).figure,
            dict(figure=figure, name="x", numbers=table),
        ),
        "read_parameters": (runs.read_parameters, dict(path=folder / "one.yaml")),
        "run_sweep": (
            runs.run_sweep,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), cells=[], jobs=1, timeout=1.0),
        ),
        "keep_records": (
            runs.keep_records,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), cells=[]),
        ),
        "all_claims": (runs.all_claims, dict(path=folder / "absent.yaml")),
        "compare_with_abstract": (runs.compare_with_abstract, dict(table=ledger_rows())),
        "write_report": (
            runs.write_report,
            dict(table=ledger_rows(), path=folder / "report.html"),
        ),
        "record_path": (runs.record_path, dict(name="00_quickstart", label="x")),
        "as_markdown": (runs.as_markdown, dict(head=["a"], body=[["b"]])),
        "committed_records": (runs.committed_records, dict(name="00_quickstart")),
        "over_seeds": (runs.over_seeds, dict(records=records, table="agreement")),
        "claims_over": (runs.claims_over, dict(records=records)),
        "runs.compare": (
            runs.compare,
            dict(
                first=Path("figures/00_quickstart/record.json"),
                second=Path("figures/00_quickstart/record.json"),
            ),
        ),
        "earlier_run": (runs.earlier_run, dict(name="00_quickstart", fingerprint="x")),
        "grid_of": (runs.grid_of, dict(words=["seed=0,1"])),
        "parameters_of": (
            runs.parameters_of,
            dict(notebook=Path("notebooks/00_quickstart.ipynb")),
        ),
        "check_parameters": (
            runs.check_parameters,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), given={"seed": 1}),
        ),
        "cell_folder": (
            runs.cell_folder,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), parameters={"seed": 1}),
        ),
        "claim_of": (
            runs.claim_of,
            dict(notebook="no notebook", sentence="one"),
        ),
        "build_ledger": (runs.build_ledger, dict(tier="smoke")),
    }
