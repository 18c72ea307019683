"""Grades assignments: `python notebooks/course/grading COURSE ASSIGNMENT ...`, or `make grade`."""

import os
import subprocess
import sys
from pathlib import Path

import wall


def nbgrader(course: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs an nbgrader command in a course's folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "nbgrader", *arguments]  # it calls alembic by its name
    return subprocess.run(
        command, cwd=course, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )


def autograde(course: Path, assignment: str, *options: str) -> list[str]:
    """Grades all submissions of an assignment; returns the students whose notebook nbgrader could
    not read. They keep no marks, and all others are graded.
    """
    done = nbgrader(course, "autograde", assignment, "--create", "--force", *options)
    submitted = {path.parent.name for path in course.glob(f"submitted/*/{assignment}")}
    graded = {path.parent.name for path in course.glob(f"autograded/*/{assignment}")}
    if done.returncode and (not graded or not submitted - graded):
        raise SystemExit(f"nbgrader autograde {assignment} failed:\n{done.stdout}{done.stderr}")
    return sorted(submitted - graded)


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit("usage: make grade COURSE=/path/to/course ASSIGNMENT=views")
    course = Path(sys.argv[1]).resolve()
    if not (course / "nbgrader_config.py").is_file():
        raise SystemExit(
            f"{course} is no course: copy the folder notebooks/course there and work in the copy"
        )
    kind = wall.choose()
    print(wall.UNPROTECTED if kind == "none" else f"Students' programs run behind a {kind}.")
    for assignment in sys.argv[2:]:
        unread = autograde(course, assignment)
        nbgrader(course, "generate_feedback", assignment, "--force")
        print(f"{assignment}: graded, feedback in {course / 'feedback'}")
        for student in unread:
            print(f"{assignment}: {student}'s notebook could not be read, no marks")


if __name__ == "__main__":
    main()
