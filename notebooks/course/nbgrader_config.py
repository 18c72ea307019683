import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parent
sys.path.insert(0, str(COURSE / "grading"))

from grade import Grade  # noqa: E402 found beside this file
from nbconvert.preprocessors import ClearMetadataPreprocessor  # noqa: E402
from nbgrader import preprocessors as step  # noqa: E402
from restore import Restore  # noqa: E402

c = get_config()  # noqa: F821 given by nbgrader

c.CourseDirectory.course_id = "local_representations"
c.Exchange.path_includes_course = True
c.ClearSolutions.code_stub = {"python": "# write your answer here\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "*Write your answer here.*"

# Students' programs run behind a wall, tests here: see grading/grade.py.
c.Grade.course = str(COURSE)
c.Grade.timeout = 120
c.Grade.longer = {"training": 900, "project": 300}
c.Restore.course = str(COURSE)
c.Autograde.sanitize_preprocessors = [
    Restore,
    step.ClearOutput,
    step.OverwriteKernelspec,
    step.OverwriteCells,
    step.CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    Grade,
    step.IgnorePattern,
    ClearMetadataPreprocessor,
    step.LimitOutput,
    step.SaveAutoGrades,
    step.AssignLatePenalties,
    step.CheckCellMetadata,
]
