"""What the project promises about itself: one list of dependencies, commands that exist, a README
that says what the records say, rooms whose imports point down.
"""

import ast
import graphlib
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

import ldr_lib
from ldr_lib import transfer

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip(
        "tomli", reason="reading pyproject.toml needs Python 3.11 or tomli"
    )

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = ROOT / "ldr_lib"
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
PLATFORMS = (("linux", "posix"), ("darwin", "posix"), ("win32", "nt"))


def direct_dependencies() -> list[str]:
    project = PYPROJECT["project"]
    return project["dependencies"] + project["optional-dependencies"]["test"]


def test_environment_yml_lists_what_pyproject_does():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    assert pip == direct_dependencies() + ["-e ."]
    assert f"python{PYPROJECT['project']['requires-python']}" in conda


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform, os_name", PLATFORMS)
def test_constraints_fit_the_ranges_on_every_python_and_system(python, platform, os_name):
    here = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "os_name": os_name,
    }
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(here):
                (version,) = pin.specifier
                assert version.operator == "==", line
                assert pinned.setdefault(pin.name, version.version) == version.version, line
    pinned = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    for line in direct_dependencies():
        wanted = Requirement(line)
        assert wanted.specifier.contains(pinned[wanted.name.lower().replace("_", "-")]), line


def test_readme_commands_are_makefile_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.M))
    assert {"quickstart", "test", "lab", "figures", "help"} <= named <= targets
    explained = set(re.findall(r"^([a-z]+):.* ## \w+", makefile, re.M))
    ready = set(re.findall(r"^([a-z]+): \.venv/ready", makefile, re.M))
    assert explained == targets and ready == targets - {"help"}


def test_make_without_a_target_lists_them_all():
    shown = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert all(f"make {target} " in shown for target in targets)


def test_readme_names_only_files_that_exist():
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    missing = [path for path in linked if not (ROOT / path).exists()]
    assert linked and not missing


def test_readme_is_short_and_has_one_table_of_results():
    assert len(README.split()) <= 1200
    begin, end = README.index("<!-- results -->"), README.index("<!-- end of results -->")
    rows = [line for line in README[begin:end].splitlines() if line.startswith("| ")]
    assert 4 <= len(rows) - 2 <= 8
    assert len(re.findall(r"^\| --- ", README, re.M)) == 2  # the map and the results


def test_readme_map_is_that_of_the_notebooks():
    for path in NOTEBOOKS:
        title = "".join(
            json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
        ).splitlines()[0]
        name, _, question = title.removeprefix("# ").partition(": ")
        record = json.loads(
            (ROOT / "figures" / path.stem / "record.json").read_text(encoding="utf-8")
        )
        row = next(
            line
            for line in README.splitlines()
            if line.startswith(f"| [{name}](notebooks/{path.name}) |")
        )
        assert question.lower() in row.lower(), question
        minutes = record["wall_seconds"] / 60
        held = record["peak_memory_mib"]["process"] / 1024
        assert row.endswith(f"| {minutes:.1f} min, {held:.1f} GB |"), row


def test_readme_names_the_room_of_each_notebook():
    rooms = dict(re.findall(r"^- `(ldr_lib[\w/]*)`: .*\(([\d, ]+)\)", README, re.M))
    assert all((ROOT / room).is_dir() for room in rooms)
    numbers = sorted(number for numbers in rooms.values() for number in numbers.split(", "))
    assert numbers == sorted({path.name[:2] for path in NOTEBOOKS})


def test_readme_is_right_about_what_does_not_work():
    records = transfer.transfer_records()
    one = records[(records["labels"] == 1) & (records["task"] == "disc_drions")]
    means = one.groupby(["protocol", "init"])["Dice"].mean().unstack()
    assert set(means.index) == {"frozen", "fine-tuned"}
    assert (means["ldr"] < means["random"]).all()
    said = README.partition("What does not work:")[2].partition("\n## ")[0]
    tables = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    numbers = re.findall(r"\d\.\d{3}", said)
    assert numbers and all(number in tables for number in numbers)


def snippet(section: str) -> str:
    text = README[README.index(f"## {section}") :]
    return text[text.index("```python\n") + 10 :].partition("```")[0]


@pytest.mark.slow
def test_the_lines_for_your_own_images_run(tmp_path, monkeypatch, photograph, save):
    for i in range(6):
        save(tmp_path / "mine" / f"{i}.jpg", photograph(i, 120, 160))
    monkeypatch.setenv("LDR_TIER", "smoke")
    monkeypatch.chdir(tmp_path)
    lines = snippet("Your own images").replace("/path/to/images", str(tmp_path / "mine"))
    assert len(lines.splitlines()) == 5
    names = {}
    exec(lines, names)
    assert len(names["images"]) == 5 and (tmp_path / "runs/mine/model.safetensors").exists()


@pytest.mark.slow
def test_the_lines_for_pretrained_networks_run(tmp_path, monkeypatch, photograph, save):
    save(tmp_path / "photograph.jpg", photograph(0, 240, 320))
    save(tmp_path / "x-ray.png", photograph(1, 240, 240)[..., 0])
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet("Pretrained networks"), names)
    assert names["vessels"].shape == (240, 320) and names["lungs"].shape == (240, 240)


ROOMS = ["", *sorted(path.parent.name for path in PACKAGE.glob("*/__init__.pyi"))]


def declared(stub: Path) -> set[str]:
    """Public names of a stub, which all have the form `from x import name as name`."""
    imports = ast.parse(stub.read_text(encoding="utf-8")).body
    return {alias.asname for statement in imports for alias in statement.names}


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_declared_listed_and_found(room):
    module = importlib.import_module(f"ldr_lib.{room}".rstrip("."))
    names = declared(PACKAGE / room / "__init__.pyi")
    assert names and names == set(module.__all__) and names <= set(dir(module))
    for name in names:
        getattr(module, name)


def test_the_package_imports_without_torch():
    program = "import sys, ldr_lib; assert not {'torch', 'fastai', 'kornia'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="No ldr_lib attribute train_model"):
        ldr_lib.train_model  # noqa: B018


def modules() -> dict[str, Path]:
    """Modules of the package, as "data.views", with their files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that one of them imports, anywhere in its code."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in known else ".".join(base))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ldr_lib"):
            found.add(node.module.removeprefix("ldr_lib").strip("."))
    return found - {name}


LAYERS = {"data": 0, "runs": 0, "explore": 2, "guided": 2, "transfer": 2, "landmarks": 2}
TOP = ("reproduce", "tables", "readme", "benchmark", "teaching", "commands", "__main__", "")
LAYERS |= dict.fromkeys(TOP, 3)
"""Rooms and single modules from below; all other modules are the method itself, layer 1."""
SHARED = ("data.checks", "data.errors", "data.files", "data.names")
"""Modules of the data that the runs use, too."""


def room_of(module: str) -> str:
    return module.split(".")[0]


def test_imports_point_down():
    known = modules()
    upward = []
    for name, path in known.items():
        for other in imported(name, path, known):
            own, its = (LAYERS.get(room_of(module), 1) for module in (name, other))
            beside = {room_of(name), room_of(other)} == {"data", "runs"}
            shared = room_of(name) == "runs" and other in SHARED
            if its > own or beside and not shared:
                upward.append(f"{name} imports {other}")
    assert not upward


def test_imports_have_no_circle():
    known = modules()
    of_modules = {name: imported(name, path, known) for name, path in known.items()}
    of_rooms = {}
    for name, others in of_modules.items():
        of_rooms.setdefault(room_of(name), set()).update(map(room_of, others))
    for graph in (of_modules, {room: others - {room} for room, others in of_rooms.items()}):
        list(graphlib.TopologicalSorter(graph).static_order())


FIXED_BYTES = ("simulate.py", "vessel_tree.py")
"""Their bytes are the fingerprint of the simulated images."""


def test_no_function_is_a_named_lambda():
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    of_package = [path for path in PACKAGE.rglob("*.py") if path.name not in FIXED_BYTES]
    sources |= {path: path.read_text(encoding="utf-8") for path in of_package}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        plain = [re.sub(r"^(\s*)[%!].*$", r"\1pass", cell, flags=re.M) for cell in code]
        sources[path] = "\n".join(plain)
    named = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)[:60]}"
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Lambda)
        and isinstance(node.targets[0], ast.Name)
    ]
    assert not named


def documented() -> list[tuple[str, str, str]]:
    """Module, name and docstring of all public functions, classes and methods."""
    found = []
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.append((module, node.name, ast.get_docstring(node) or ""))
    return found


def taught_in(docstring: str) -> list[tuple[str, str]]:
    """Notebook and section of "Taught in notebook 00, section 4 and notebook 02, sections 3 and
    6".
    """
    _, found, rest = docstring.partition("Taught in ")
    pointers = []
    if found:
        for part in re.split(r"(?=notebook \d)", rest.split(".")[0]):
            if notebook := re.match(r"notebook (\d\d\w?)\b", part):
                sections = re.findall(r"\d+", part[notebook.end() :])
                pointers += [(notebook.group(1), section) for section in sections or ["0"]]
    return pointers


def section_text(number: str, section: str) -> str:
    """Markdown and code of a notebook's section, up to the next heading."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    lines, inside = [], False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("## "):
                inside = re.match(rf"## {section}\b", line) is not None
            if inside:
                lines.append(line)
    return "\n".join(lines)


def test_sections_that_docstrings_point_to_mention_the_name():
    pointers = [
        (module, name, *pointer)
        for module, name, docstring in documented()
        for pointer in taught_in(docstring)
    ]
    wrong = [
        f"{module}.{name}: notebook {notebook}, section {section}"
        for module, name, notebook, section in pointers
        if not re.search(rf"\b{name}\b", section_text(notebook, section))
    ]
    assert len(pointers) > 50 and not wrong, "\n".join(wrong)


def test_public_functions_say_what_they_take_and_give():
    adapters = ("ImageDataset", "FetchedByHand", "PriorMasks", "Simulated")
    missing = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_":
                bases = [ast.unparse(base) for base in getattr(node, "bases", [])]
                adapter = any(name in base for name in adapters for base in bases)
                if not ast.get_docstring(node) and not adapter:
                    missing.append(f"{path.name}: {node.name}")
    assert not missing


def test_citation_names_the_kit_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PYPROJECT["project"]["version"]
    assert citation["license"] == PYPROJECT["project"]["license"]
    paper = citation["preferred-citation"]
    assert paper["year"] == 2021 and len(paper["authors"]) == 8
    links = [entry["url"] for entry in (paper, *citation["references"])]
    assert all(link in README for link in links)


def test_hooks_are_the_tools_of_the_environment():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][
        0
    ]["hooks"]
    tools = [hook["entry"].split()[0] for hook in hooks]
    assert all(tool.startswith(".venv/bin/") for tool in tools)
    names = {Requirement(line).name for line in direct_dependencies()}
    assert {Path(tool).name for tool in tools} <= names
    strip = next(hook["entry"] for hook in hooks if hook["id"] == "nbstripout")
    assert "--keep-output" in strip
