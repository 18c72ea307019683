"""Grading withstands what a student may do to it, and needs no rights that students could use."""

import copy
import json
import os
import re
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from attacks import ATTACKS
from conftest import ROOT
from stored import SOURCE, cells

GRADING = ROOT / "notebooks" / "course" / "grading"
sys.path.insert(0, str(GRADING))

import frames  # noqa: E402
import grade as grading  # noqa: E402
import image  # noqa: E402
import wall  # noqa: E402
from student import Failed, Student, _Gone  # noqa: E402

MARK = "86399.25"
"""Seconds that left processes sleep, to find them by."""
FULL = {"probabilities_test": 4, "patch_loss_test": 6, "mixup_target_test": 4}

needs_wall = pytest.mark.skipif(
    not wall.works("namespace"), reason="needs Linux with unshare and setpriv allowed"
)


def submission(extra, answers):
    """The solved assignment with an extra cell and other answers."""
    notebook = nbformat.v4.new_notebook(cells=copy.deepcopy(cells("patches")))
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata["nbgrader"]["grade_id"], cell.source)
    if extra:
        notebook.cells.insert(2, nbformat.v4.new_code_cell(extra))
    return notebook


def marks(notebook):
    """Points that nbgrader would give for the outputs that grading wrote."""
    from nbgrader.utils import determine_grade

    return {
        name: determine_grade(cell)[0]
        for cell in notebook.cells
        if (name := grading.name_of(cell)) in FULL
    }


def printed(notebook):
    return str([cell.get("outputs") for cell in notebook.cells])


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """All attacks, graded; by name."""
    course = tmp_path_factory.mktemp("lecturer")
    for name in ("gradebook.db", "secret.txt", "source.ipynb"):
        (course / name).write_text("the lecturer's", encoding="utf-8")
        (course / name).chmod(0o666)
    course.chmod(0o777)
    places = [str(course / "gradebook.db"), str(SOURCE / "patches" / "patches.ipynb")]
    places += [str(ROOT / "tests" / "course" / "answers.py"), "/etc/shadow"]

    def run(entry):
        extra, answers, _ = entry
        extra = extra.replace("MARK", MARK).replace("PLACES", repr(places))
        notebook = submission(extra, answers)
        grading.grade(notebook, cells("patches"), 1, 15, "namespace")
        return notebook

    with ThreadPoolExecutor(3) as pool:
        found = dict(zip(ATTACKS, pool.map(run, ATTACKS.values())))
    found["course"] = course
    return found


@needs_wall
@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_grading_gives_an_attack_only_the_marks_of_its_right_answers(attack, graded):
    kept = ATTACKS[attack][2]
    got = marks(graded[attack])
    assert got == {test: full if test in kept else 0 for test, full in FULL.items()}, printed(
        graded[attack]
    )


IN_ONE_PROGRAM = """
import json, sys, types
run, build, passed = exec, compile, []
scope = {"get_ipython": lambda: types.SimpleNamespace(input_transformers_cleanup=[])}
for name, source in json.load(sys.stdin):
    try:
        run(build(source, str(name), "exec"), scope)
        passed.append(name)
    except Exception:
        pass
json.dump(passed, sys.stdout)
"""


@pytest.mark.slow
def test_attack_on_the_checkers_would_gain_all_marks_where_tests_run_in_the_same_program():
    extra, answers, _ = ATTACKS["checkers are patched"]
    code = [cell for cell in submission(extra, answers).cells if cell.cell_type == "code"]
    told = json.dumps([(grading.name_of(cell), cell.source) for cell in code])
    command = [sys.executable, "-c", IN_ONE_PROGRAM]
    done = subprocess.run(command, input=told, capture_output=True, encoding="utf-8", check=True)
    assert set(FULL) <= set(json.loads(done.stdout)), (
        "the attack does nothing: its test proves nothing"
    )


@needs_wall
@pytest.mark.slow
def test_grading_shows_a_student_nothing_of_the_lecturers(graded):
    said = printed(graded["files are read and written"])
    assert "FOUND [] " in said and "written" not in said and "reached" not in said
    assert "killed" not in said and "the lecturer" not in said
    assert {path.read_text(encoding="utf-8") for path in graded["course"].iterdir()} == {
        "the lecturer's"
    }


@needs_wall
@pytest.mark.slow
def test_a_checkout_may_lie_in_the_folder_of_temporary_files(tmp_path, monkeypatch):
    installed = tmp_path / "installed"
    installed.mkdir()
    installed.chmod(0o755)
    (installed / "module.py").write_text("answer = 42", encoding="utf-8")
    shown = [*wall.shown(), str(installed)]
    monkeypatch.setattr(wall, "shown", lambda: shown)
    stands = wall.Namespace()
    try:
        command, environ = stands.command()
        program = f"print(open({str(installed / 'module.py')!r}).read())"
        done = subprocess.run([*command[:-1], "-c", program], env=environ, capture_output=True)
    finally:
        stands.close()
    assert done.stdout.decode().strip() == "answer = 42", done.stderr


@needs_wall
@pytest.mark.slow
def test_grading_leaves_no_process_behind(graded):
    assert graded
    assert MARK not in running()


@needs_wall
def test_a_students_program_ends_with_grading_even_if_grading_is_killed(tmp_path):
    sleep = MARK.replace("25", "75")
    start = (
        f"import subprocess, sys; sys.path.insert(0, {str(GRADING)!r}); import wall; "
        "command, environ = wall.Namespace().command(); "
        f"subprocess.Popen([*command[:-2], 'sleep', {sleep!r}], env=environ); "
        "print('started', flush=True); sys.stdin.read()"
    )
    pipe, environ = subprocess.PIPE, os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", start]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environ) as grader:
        grader.stdout.readline()
        assert soon(lambda: f"sleep {sleep}" in running()), (
            "nothing to end: the test proves nothing"
        )
        grader.kill()
    assert soon(lambda: f"sleep {sleep}" not in running())


def running():
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, encoding="utf-8").stdout


def soon(holds):
    """Whether something holds within a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until and not holds():
        time.sleep(0.2)
    return holds()


class Rehearsed(Student):
    """A student whose program notes which cells are run; the function `end` ends it."""

    ran = ()

    def _start(self):
        self.process = True

    def stop(self):
        self.process = None

    def _ask(self, request):
        if request.get("function") == "end":
            raise _Gone("the program ended itself")
        self.ran = (*self.ran, request.get("cell"))
        return {"value": 1} if "function" in request else {"error": None}


def test_a_long_training_is_not_run_again_for_the_tests_that_come_after_it():
    cells = {"learn": "1", "plot": "2", "words": "3"}
    with Rehearsed(cells, 10, "none", shown=["plot"]) as student:
        assert student.ran == ("1", "2", "3")
        with pytest.raises(Failed, match="ended itself"):
            student.call("end", inputs=[], named={})
        assert student.call("learn", inputs=[], named={}) == 1
    assert student.ran == ("1", "2", "3", "1", "3", None)


def test_tests_have_time_left_after_the_longest_cell():
    for seconds in (120, 300, 900):
        student = Student({}, seconds, "none")
        assert student.until - time.monotonic() > 4 * seconds


@needs_wall
@pytest.mark.slow
def test_grading_bounds_what_is_kept_of_a_students_output(graded):
    assert all(len(printed(graded[attack])) < 200_000 for attack in ATTACKS)
    assert "did not end within 15 seconds" in printed(graded["output has no end"])


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.5,
        True,
        "text",
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.zeros((0, 3)),
        torch.eye(3),
        torch.ones(2, dtype=torch.bfloat16),
        [torch.zeros(()), {"a": (1, np.float32(2))}],
    ],
    ids=str,
)
def test_frames_bring_plain_values_back(value):
    packed = frames.packed(value)
    text, body = frames.lengths(packed[:16])
    back = frames.parse(packed[16 : 16 + text], packed[16 + text :])
    assert len(packed) == 16 + text + body
    assert type(back) is type(value)
    if torch.is_tensor(value) or isinstance(value, np.ndarray):
        assert tuple(back.shape) == tuple(value.shape)
        assert (np.asarray(back) == value_of(value)).all()


def value_of(value):
    return value.float().numpy() if torch.is_tensor(value) else value


@pytest.mark.parametrize(
    "text, body",
    [
        (b"", b""),
        (b"[]", b""),
        (b"{}", b""),
        (b'{"is": "object"}', b""),
        (b'{"is": "plain", "value": []}', b""),
        (b'{"is": "array", "dtype": "O", "shape": [1]}', b"12345678"),
        (b'{"is": "array", "dtype": "float64", "shape": [-1]}', b"12345678"),
        (b'{"is": "array", "dtype": "float64", "shape": [10000000000000]}', b"12345678"),
        (b'{"is": "array", "dtype": "float64", "shape": "x"}', b""),
        (b'{"is": "list", "value": {"is": 1}}', b""),
        (b'{"is": "plain", "value": 1}', b"left over"),
        (b"[" * 100_000, b""),
        (b"\xff\xfe", b""),
    ],
    ids=range(13),
)
def test_frames_refuse_what_is_none(text, body):
    with pytest.raises(ValueError):
        frames.parse(text, body)


def test_frames_refuse_objects_and_giants():
    with pytest.raises(TypeError, match="not object"):
        frames.packed(object())
    with pytest.raises(TypeError, match="array of numbers"):
        frames.packed(np.array([object()]))
    with pytest.raises(ValueError, match="MiB"):
        frames.lengths(b"\xff" * 16)


def test_grading_as_the_lecturer_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(wall, "works", lambda name: False)
    monkeypatch.delenv("LDR_GRADE_WALL", raising=False)
    with pytest.raises(SystemExit, match="with your rights.*LDR_GRADE_WALL=none"):
        wall.choose()
    monkeypatch.setenv("LDR_GRADE_WALL", "none")
    assert wall.choose() == "none" and "WITHOUT A WALL" in wall.UNPROTECTED
    monkeypatch.setenv("LDR_GRADE_WALL", "castle")
    with pytest.raises(SystemExit, match="container, namespace, none"):
        wall.choose()


def test_container_has_no_rights_and_no_sources():
    command, _ = wall.Container().command()
    said = " ".join(command)
    for limit in ("--network none", "--read-only", "--cap-drop ALL", "--pids-limit", "--memory"):
        assert limit in said
    assert "--user 65534:65534" in said and "no-new-privileges" in said
    assert "--volume" not in said and " -v " not in said and "--mount" not in said


def test_image_is_built_from_a_folder_without_sources(tmp_path, monkeypatch):
    names = image.copied()
    assert {"ldr_lib", "pyproject.toml", "notebooks/course/grading/worker.py"} <= set(names)
    assert not any(name.startswith("tests") or "source" in name for name in names)
    files = [name for name in names if name != "ldr_lib"]
    monkeypatch.setattr(image, "copied", lambda: [*files, "ldr_lib/teaching"])
    image.write_context(tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    outside = {name for name in found if not name.startswith("ldr_lib/")}
    assert outside == {"Dockerfile", *files} and "ldr_lib/teaching/checks.py" in found


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """A `docker` on the path that is none; the folder in which it keeps its image."""
    program, root = tmp_path / "bin" / "docker", tmp_path / "image"
    stand_in = Path(__file__).with_name("docker_stand_in.py")
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_in}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("IMAGE_ROOT", str(root))
    monkeypatch.delenv("LDR_GRADE_WALL", raising=False)
    wall.works.cache_clear()
    yield root
    wall.works.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell script")
def test_grading_uses_the_image_that_make_wall_builds(docker):
    assert not wall.works("container")
    wall.works.cache_clear()
    image.main()
    assert wall.choose() == "container"
    cells = {"a": "import numpy as np\ndef twice(x): return 2 * x", "b": "while True: pass"}
    with Student(cells, 5, "container") as student:
        assert student.call("twice", inputs=[np.ones(3)], named={}).tolist() == [2, 2, 2]
        assert "did not end within 5 seconds" in student.outputs["b"]["error"]
        started = (docker / "name").read_text(encoding="utf-8")
        ended = (docker / "killed").read_text(encoding="utf-8")
        assert started.startswith("ldr-grading-") and ended.startswith("ldr-grading-")
        assert started != ended, "a new container after each that was ended"
    assert (docker / "killed").read_text(encoding="utf-8") == started


@pytest.mark.skipif(os.name == "nt", reason="needs a shell script")
def test_image_that_cannot_be_built_is_one_sentence(docker, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    monkeypatch.setattr(image, "write_context", lambda folder: None)
    with pytest.raises(SystemExit, match="not built, see above") as failed:
        image.main()
    monkeypatch.setattr(wall, "engine", lambda: None)
    with pytest.raises(SystemExit, match="neither is installed here") as missing:
        image.main()
    for error in (failed, missing):
        assert str(error.value).count(". ") == 0 and "\n" not in str(error.value)


def test_secret_is_the_courses_own_and_readable_for_the_lecturer_only(tmp_path):
    one = grading.secret(tmp_path)
    assert grading.secret(tmp_path) == one
    assert stat.S_IMODE((tmp_path / "secret.txt").stat().st_mode) == 0o600 or os.name == "nt"
    (tmp_path / "other").mkdir()
    assert grading.secret(tmp_path / "other") != one


def test_hidden_photographs_follow_the_secret_and_no_visible_cell_names_it():
    for assignment in Path(SOURCE).iterdir():
        for cell in cells(assignment.name):
            shown = re.sub(r"### BEGIN HIDDEN.*?### END HIDDEN TESTS", "", cell.source, flags=re.S)
            assert not re.search(r"\bsecret\b(?! and)", shown), assignment.name


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JAVAscript:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](java&amp;#115;cript:alert(1))",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    ],
)
def test_texts_of_students_run_nothing_on_a_page(text):
    from nbconvert.filters import markdown2html

    page = markdown2html(grading.harmless(text))
    assert not re.search(r"<(?!/?(p|em|strong|code|pre)\b)|href|src=\S*:", page), page


def test_texts_of_students_keep_words_formulas_and_attached_pictures():
    from nbconvert.filters import markdown2html

    text = "**Because** $r_{nk}$ [1] is long ![a](attachment:a.png) ![b](attachment:b.png)"
    kept = grading.harmless(text, {"a.png": {"image/png": "iVBORw0KGgo="}})
    assert "](attachment:a.png)" in kept and "](attachment:b.png)" not in kept
    page = markdown2html(kept.replace("attachment:a.png", "a.png"))
    assert "<strong>Because</strong> $r_{nk}$ [1]" in page and 'src="a.png"' in page


def test_outputs_of_students_hold_texts_and_pictures_only():
    shown = {
        "printed": "<script>alert(1)</script>",
        "pictures": ['iVBORw0KGgo="><script>'],
        "error": None,
    }
    found = grading.outputs(shown)
    assert {output.output_type for output in found} == {"stream", "display_data"}
    assert found[1].data.keys() == {"image/png"} and "<" not in found[1].data["image/png"]
