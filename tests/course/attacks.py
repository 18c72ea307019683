"""What a student who attacks the grading might hand in: cells of the assignment "patches".

Each entry is a submission: code of an extra cell at the top, and answers that replace the model
answers; and the tests that may still give marks.
"""

from stored import cells

TAMPER = """
import builtins, types
import ldr_lib.teaching.checks as checks
import numpy, torch
def nothing(*inputs, **named):
    pass
for name in ("check", "check_value", "own_work", "_near"):
    setattr(checks, name, nothing)
import ldr_lib.teaching
ldr_lib.teaching.check = ldr_lib.teaching.check_value = ldr_lib.teaching.own_work = nothing
check.__code__ = nothing.__code__
check_value.__code__ = nothing.__code__
numpy.abs = numpy.isfinite = lambda *inputs, **named: numpy.zeros(1)
torch.Tensor.__eq__ = lambda *inputs: True
get_ipython().input_transformers_cleanup.append(lambda lines: ["pass"])
builtins.compile = builtins.exec = nothing
"""

EQUAL = """
class Equal:
    def __eq__(self, other): return True
    __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __eq__
    def __hash__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *inputs, **named): return self
    def __array__(self, *inputs, **named): return __import__('numpy').zeros(())
    def __bool__(self): return True
    def __len__(self): return 4
    def __iter__(self): return iter([])
class Tensor(torch.Tensor):
    def __eq__(self, other): return True
    def __sub__(self, other): return torch.zeros(())
    def detach(self): return Tensor()
"""

THIEF = """
import os, socket, pathlib
seen = []
for folder, below, files in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/usr")) or "site-packages" in folder:
        below[:] = []
        continue
    wanted = ("patches.ipynb", "gradebook.db", "answers.py", "secret.txt", "test_answers.py")
    seen += [os.path.join(folder, name) for name in files if name in wanted]
tried = {}
for place in PLACES:
    try:
        tried[place] = open(place).read()[:20]
    except OSError as error:
        tried[place] = type(error).__name__
    try:
        open(place, "a").write("mine")
        tried[place] += " written"
    except OSError:
        pass
try:
    socket.create_connection(("1.1.1.1", 53), timeout=2)
    tried["network"] = "reached"
except OSError as error:
    tried["network"] = type(error).__name__
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if process.name not in (str(os.getpid()), "1"):
            os.kill(int(process.name), 9)
            tried[process.name] = "killed"
    except OSError:
        pass
import ldr_lib
try:
    open(ldr_lib.__path__[0] + "/teaching/checks.py", "a").write("#")
    tried["package"] = "written"
except OSError as error:
    tried["package"] = type(error).__name__
print("FOUND", seen, tried)
"""

FORGE = """
import os, struct
def forge():
    frame = b'{"is": "dict", "value": {"value": {"is": "plain", "value": 1.0}}}'
    for number in range(3, 40):
        try:
            os.write(number, struct.pack(">QQ", len(frame), 0) + frame)
        except OSError:
            pass
"""

CHILDREN = """
import os, subprocess, sys, threading
subprocess.Popen(["sleep", "MARK"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "MARK"])
    os._exit(0)
threading.Thread(target=lambda: threading.Event().wait(), daemon=False).start()
"""

ENDLESS = """
import sys
while True:
    print("x" * 10_000)
"""

RIGHT_ONE, RIGHT_TWO = ("probabilities_test", "patch_loss_test"), "mixup_target_test"
NAMES = ("probabilities", "patch_loss", "mixup_target")
HEADS = {
    name: next(line for line in cell.source.splitlines() if line.startswith("def "))
    for cell in cells("patches")
    if (name := cell.metadata["nbgrader"]["grade_id"]) in NAMES
}
"""The first lines of the answers as the assignment has them."""


def answers(probabilities: str, patch_loss: str, mixup_target: str) -> dict[str, str]:
    bodies = (probabilities, patch_loss, mixup_target)
    return {name: f"{HEADS[name]}\n    {body}" for name, body in zip(NAMES, bodies) if body}


ATTACKS = {
    "checkers are patched": (
        TAMPER,
        answers("return z @ z.T", "return anchors.sum()", "return z_a.detach()"),
        [],
    ),
    "results are equal to everything": (
        EQUAL,
        answers("return Equal()", "return Tensor(1)", "return [[Equal()]]"),
        [],
    ),
    "texts, nothing and classes": (
        "",
        answers("return 'right'", "return dict(value=anchors)", "return type(z_a)"),
        [],
    ),
    "the program is ended": (
        "",
        answers("import sys; sys.exit(0)", "import os; os._exit(0)", ""),
        ["mixup_target_test"],
    ),
    "answers are forged": (
        FORGE,
        answers("forge()", "forge(); return anchors.sum()", "forge(); import os; os.kill(1, 9)"),
        [],
    ),
    "processes and threads are left": (CHILDREN, {}, [*RIGHT_ONE, RIGHT_TWO]),
    "output has no end": (ENDLESS, {}, [*RIGHT_ONE, RIGHT_TWO]),
    "too much is returned": (
        "",
        answers(
            "return torch.zeros(30_000, 30_000)", "return float('nan')", "return [[[]]] * 10**6"
        ),
        [],
    ),
    "files are read and written": (THIEF, {}, [*RIGHT_ONE, RIGHT_TWO]),
}
