"""Grades assignments: `python notebooks/course/grading COURSE ASSIGNMENT ...`, or `make grade`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import handed_in
import wall

USAGE = 'make grade COURSE=/path/to/course ASSIGNMENT=views [STUDENT="one of them"]'


def nbgrader(course: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs an nbgrader command in a course's folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "nbgrader", *arguments]  # it calls alembic by its name
    return subprocess.run(
        command,
        cwd=course,
        env=os.environ | {"PATH": path},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def autograde(course: Path, assignment: str, *options: str, student: str = "") -> dict[str, str]:
    """Grades the submissions of an assignment, of all students or of one.

    Returns:
        Students whose notebook could not be graded, and why. All others are graded.
    """
    unread = handed_in.unreadable(course, assignment, student)
    students = set(handed_in.students(course, assignment, student))
    if unread.keys() >= students:
        return unread
    left_out = f"--CourseDirectory.student_id_exclude={','.join(unread)}"
    chosen = [f"--student={student}"] if student else [left_out]
    done = nbgrader(course, "autograde", assignment, "--create", "--force", *chosen, *options)
    graded = {path.parent.name for path in course.glob(f"autograded/*/{assignment}")}
    failed = students - graded - unread.keys()
    if done.returncode and not graded & students:
        raise SystemExit(f"nbgrader autograde {assignment} failed:\n{done.stdout}{done.stderr}")
    return unread | dict.fromkeys(sorted(failed), "nbgrader stopped at this notebook")


def main() -> None:
    parser = argparse.ArgumentParser(usage=USAGE)
    parser.add_argument("course", type=Path)
    parser.add_argument("assignments", nargs="+")
    parser.add_argument("--student", default="")
    asked = parser.parse_args()
    course = asked.course.resolve()
    if not (course / "nbgrader_config.py").is_file():
        raise SystemExit(
            f"{course} is no course: copy the folder notebooks/course there and work in the copy"
        )
    for assignment in asked.assignments:
        handed_in.expect(course, assignment, asked.student)
    kind = wall.choose()
    print(wall.UNPROTECTED if kind == "none" else f"Students' programs run behind a {kind}.")
    for assignment in asked.assignments:
        unread = autograde(course, assignment, student=asked.student)
        chosen = [f"--student={asked.student}"] if asked.student else []
        nbgrader(course, "generate_feedback", assignment, "--force", *chosen)
        print(f"{assignment}: graded, feedback in {course / 'feedback'}")
        for student, why in unread.items():
            print(f"{assignment}: {student} was not graded: {why}")


if __name__ == "__main__":
    main()
