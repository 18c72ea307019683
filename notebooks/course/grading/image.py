"""Builds the container image: `python notebooks/course/grading/image.py`, or `make wall`.

The builder gets a folder that holds the Dockerfile and what it copies, and nothing else: no
builder can send the lecturer's sources, whichever ignore files it knows.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import wall

ROOT = wall.HERE.parents[2]
NO_ENGINE = (
    "The image needs Docker or Podman, and neither is installed here: install one, or grade on "
    "Linux, where `make grade` builds its wall without an image if `unshare` is allowed."
)
FAILED = (
    "The image was not built, see above (is Docker's service running, and may you use it?); on "
    "Linux `make grade` needs no image where `unshare` is allowed."
)


def copied() -> list[str]:
    """Files and folders that the Dockerfile copies, as paths in the checkout."""
    lines = (wall.HERE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]


def write_context(folder: Path) -> None:
    """Writes the folder that the builder gets."""
    shutil.copy(wall.HERE / "Dockerfile", folder)
    for name in copied():
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def main() -> None:
    engine = wall.engine()
    if engine is None:
        raise SystemExit(NO_ENGINE)
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        write_context(Path(folder))
        done = subprocess.run([engine, "build", "--tag", wall.IMAGE, folder], check=False)
    if done.returncode:
        raise SystemExit(FAILED)
    print(f"The image {wall.IMAGE} is built; `make grade` uses it.", file=sys.stderr)


if __name__ == "__main__":
    main()
