"""What students get: `python notebooks/course/grading/kit.py FOLDER`, or `make course`.

The kit holds the package, the notebooks, the released assignments, the quiz with sealed answers and
the sliders. It holds neither sources nor answers: no file of it comes from `tests`, from the
grading, or from the course's folders `source`, `material` and `instructor`.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COURSE = ROOT / "notebooks" / "course"
SHARED = ("ldr_lib", "figures", "pyproject.toml", "constraints.txt", "environment.yml")
SHARED += ("README.md", "LICENSE", "CITATION.cff")
WITH_NOTEBOOKS = ("0*.ipynb", "GLOSSARY.md", "claims.yaml", "runs.yaml")
STUDENTS = Path("notebooks", "course", "students")
"""Quiz and sliders lie where they lie here, so that links of the notebooks lead to them; where the
lecturers' page is linked, students find their own.
"""


def write_kit(released: Path, folder: Path) -> Path:
    """Writes the kit.

    Args:
        released: nbgrader's folder `release`.
        folder: Where the kit is written; what was there is replaced.

    Returns:
        The kit as one file, `<folder>.zip`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in SHARED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "notebooks").mkdir()
    for pattern in WITH_NOTEBOOKS:
        for path in (ROOT / "notebooks").glob(pattern):
            shutil.copy(path, folder / "notebooks")
    shutil.copytree(
        ROOT / STUDENTS, folder / STUDENTS, ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    shutil.copy(COURSE / "STUDENTS.md", folder)
    shutil.copy(COURSE / "STUDENTS.md", folder / STUDENTS.parent / "README.md")
    shutil.copytree(released, folder / "assignments")
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


if __name__ == "__main__":
    print(write_kit(Path(sys.argv[1]) / "release", Path(sys.argv[1]) / "kit"))
