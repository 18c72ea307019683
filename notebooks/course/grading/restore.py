"""Gives a handed-in notebook the form of its assignment again, before anything reads it.

nbgrader trusts what a notebook says of its cells, and stops at a cell that was copied or deleted.
What a cell is worth stands in the source; a submission only says which cell is which.
"""

import copy
from pathlib import Path

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

GONE = "This cell was missing from the submission."


class Restore(NbGraderPreprocessor):
    """Takes what nbgrader has to know of the cells from the source."""

    course = Unicode("", help="Folder of the course.").tag(config=True)

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        folder = Path(self.course or ".") / "source" / about["assignment"]
        source = nbformat.read(folder / f"{about['notebook']}.ipynb", 4)
        nb = nbformat.v4.upgrade(nb)  # every cell has an id
        nb.cells = restored(nb.cells, source.cells)
        return nb, resources


def restored(handed_in: list, source: list) -> list:
    """The cells of a submission as the source describes them.

    Of a cell that was copied the last one counts, as in a notebook that is run; the others become
    cells of the student's own. A cell that was deleted comes back empty, after the one before it.

    Args:
        handed_in: Cells of the submission.
        source: Cells of the assignment's source.
    """
    known = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in source}
    cells, places = list(handed_in), {}
    for cell in reversed(cells):
        about = cell.metadata.pop("nbgrader", None)
        name = about.get("grade_id") if isinstance(about, dict) else None
        if isinstance(name, str) and name in known and name not in places:
            places[name] = cell
            cell.metadata["nbgrader"] = copy.deepcopy(known[name].metadata["nbgrader"])
    place = 0
    for name, original in known.items():
        if name not in places:
            cells.insert(place, _empty(original))
        else:
            place = next(i for i, cell in enumerate(cells) if cell is places[name])
        place += 1
    return cells


def _empty(original):
    about = copy.deepcopy(original.metadata)
    if original.cell_type == "code":
        return nbformat.v4.new_code_cell(f"# {GONE}", metadata=about)
    return nbformat.v4.new_markdown_cell(f"*{GONE}*", metadata=about)
