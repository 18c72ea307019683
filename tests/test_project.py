"""What the project promises about itself: one list of dependencies, commands that exist, notebooks
kept by the rules.
"""

import ast
import importlib.util
import json
import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from ldr_lib import runs
from ldr_lib.guided import study as prior_study
from ldr_lib.transfer.table import transfer_markdown, transfer_records

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip(
        "tomli", reason="reading pyproject.toml needs Python 3.11 or tomli"
    )

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_environment_yml_lists_what_pyproject_does():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    project = PYPROJECT["project"]
    assert pip == project["dependencies"] + project["optional-dependencies"]["test"] + ["-e ."]
    assert f"python{project['requires-python']}" in conda


def test_constraints_fit_the_ranges():
    from packaging.requirements import Requirement

    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    pinned = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    project = PYPROJECT["project"]
    for line in project["dependencies"] + project["optional-dependencies"]["test"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), line


def test_readme_commands_are_makefile_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "README.md").read_text(), re.M))
    assert {"quickstart", "test", "lab", "figures"} <= named <= targets


def test_readme_names_only_files_that_exist():
    text = (ROOT / "README.md").read_text()
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", text)
    assert linked and all((ROOT / path).exists() for path in linked), [
        p for p in linked if not (ROOT / p).exists()
    ]


@pytest.mark.parametrize(
    "name, dataset",
    [
        ("00_quickstart", "chase_db1"),
        ("00_quickstart", "simulated_fundus"),
        ("00_quickstart", "simulated_chest"),
        ("02_two_branch_training", "simulated_fundus"),
    ],
)
def test_readme_tables_are_those_of_the_records(name, dataset):
    assert runs.summary(name, dataset=dataset) in (ROOT / "README.md").read_text()


def test_readme_map_is_that_of_the_notebooks():
    text = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        title = "".join(json.loads(path.read_text())["cells"][0]["source"]).splitlines()[0]
        name, _, question = title.removeprefix("# ").partition(": ")
        record = json.loads((ROOT / "figures" / path.stem / "record.json").read_text())
        row = next(
            line
            for line in text.splitlines()
            if line.startswith(f"| [{name}](notebooks/{path.name}) |")
        )
        assert question.lower() in row.lower(), question
        assert row.endswith(
            f"| {record['wall_seconds'] / 60:.1f} min, {record['peak_memory_mib']['process'] / 1024:.1f} GB |"
        ), row
        modules = re.findall(r"`ldr_lib\.([\w.]+)`", row)
        code = "\n".join(
            "".join(cell["source"])
            for cell in json.loads(path.read_text())["cells"]
            if cell["cell_type"] == "code"
        )
        assert modules and all(
            module.split(".")[0] in code or importlib.util.find_spec(f"ldr_lib.{module}")
            for module in modules
        )


def test_readme_table_of_priors_is_that_of_the_records():
    assert prior_study.study_markdown() in (ROOT / "README.md").read_text()


def test_readme_table_of_transfer_is_that_of_the_records():
    assert transfer_markdown(transfer_records()) in (ROOT / "README.md").read_text()


def test_the_package_imports_lazily_and_lists_its_names():
    program = "import sys, ldr_lib; assert 'torch' not in sys.modules; [getattr(ldr_lib, name) for name in ldr_lib.__all__]"
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
    import ldr_lib

    with pytest.raises(AttributeError, match="no attribute 'train_model'; public are TwoBranchNet"):
        ldr_lib.train_model


def test_public_functions_say_what_they_take_and_give():
    missing = []
    for path in (ROOT / "ldr_lib").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if (
                isinstance(node, (ast.FunctionDef, ast.ClassDef))
                and not node.name.startswith("_")
                and node.name != "main"
            ):
                if not ast.get_docstring(node) and not any(
                    "ImageDataset" in ast.unparse(b)
                    or "FetchedByHand" in ast.unparse(b)
                    or "PriorMasks" in ast.unparse(b)
                    or "Simulated" in ast.unparse(b)
                    for b in getattr(node, "bases", [])
                ):
                    missing.append(f"{path.name}: {node.name}")
    assert not missing
