"""Stands in for Docker where there is none: `build` follows a Dockerfile's COPY lines into the
folder IMAGE_ROOT, and `run` starts the ENTRYPOINT on these copies. No walls: what is tested is the
recipe, and how grading starts and ends a container.
"""

import json
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(os.environ["IMAGE_ROOT"])


def steps(recipe: str) -> list[list[str]]:
    """Instructions of a Dockerfile, each as its name and the rest."""
    lines = recipe.replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]


def inside(path: str, folder: Path) -> Path:
    """A path of the image as one of this computer."""
    return ROOT / path.lstrip("/") if path.startswith("/") else folder / path


def build(context: Path) -> None:
    recipe = (context / "Dockerfile").read_text(encoding="utf-8")
    folder = ROOT
    for name, rest in steps(recipe):
        if name == "WORKDIR":
            folder = inside(rest, folder)
            folder.mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in map(context.joinpath, sources):
                place = inside(target, folder)
                if source.is_dir():
                    shutil.copytree(source, place)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, place)
    (ROOT / "Dockerfile").write_text(recipe, encoding="utf-8")


def run(arguments: list[str]) -> None:
    recipe = steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    (ROOT / "name").write_text(arguments[arguments.index("--name") + 1], encoding="utf-8")
    settings = " ".join(rest for name, rest in recipe if name == "ENV").split()
    environ = dict(one.split("=", 1) for one in settings)
    environ |= {"PYTHONPATH": str(ROOT / "walled"), "PATH": os.environ["PATH"]}
    (entry,) = [json.loads(rest) for name, rest in recipe if name == "ENTRYPOINT"]
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, str(inside(entry[1], ROOT))], environ)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "build" and os.environ.get("BROKEN"):
        sys.exit("Cannot connect to the daemon")
    elif command == "build":
        build(Path(rest[-1]))
    elif command == "run":
        run(rest)
    elif command == "kill":
        (ROOT / "killed").write_text(rest[0], encoding="utf-8")
    elif command == "image":
        sys.exit(0 if (ROOT / "Dockerfile").is_file() else 1)
