"""The workflows agree with the project: versions, systems, commands."""

import re

import yaml
from conftest import ROOT

FOLDER = ROOT / ".github" / "workflows"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def workflow(name):
    """A workflow; YAML reads the key `on` as True."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


def commands(job):
    return " ".join(step.get("run", "") for step in job["steps"])


def test_tests_run_on_three_systems_with_the_oldest_and_the_newest_versions():
    job = workflow("tests")["jobs"]["tests"]
    matrix = job["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    versions = {entry["versions"]: entry for entry in matrix["include"]}
    assert set(matrix["versions"]) == versions.keys() == {"oldest", "newest"}
    (python,) = re.findall(r'requires-python = ">=([\d.]+)"', PYPROJECT)
    (torch,) = re.findall(r'"torch>=([\d.]+)"', PYPROJECT)
    (vision,) = re.findall(r'"torchvision>=([\d.]+)"', PYPROJECT)
    assert versions["oldest"]["python"] == python
    assert versions["oldest"]["torch"] == f"torch=={torch}.* torchvision=={vision}.*"
    assert versions["newest"]["torch"] == "torch torchvision"
    assert "pytest" in commands(job) and ".[test]" in commands(job)


def test_the_site_is_built_for_the_repository_that_publishes_it():
    jobs = workflow("site")["jobs"]
    assert commands(jobs["build"]).count('--repository "$ADDRESS"') == 1
    assert ".[site]" in commands(jobs["build"]) and re.search(r"^site = \[", PYPROJECT, re.M)
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}


def test_workflows_may_only_read_unless_they_publish():
    for path in FOLDER.glob("*.yml"):
        assert workflow(path.stem)["permissions"] == {"contents": "read"}
