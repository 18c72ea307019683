"""A notebook that is run in a second and does as it is told."""

import json
from pathlib import Path

import nbformat
import psutil

PARAMETERS = """
seed = 0
k = 1.5  # may have decimals
name = "x"  # what it does
option = None
flag = True
sizes = [1, 2]
data_dir = ""
out_dir = ""
"""
BODY = """
import json, os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path(out_dir)
values = dict(seed=seed, k=k, name=name, option=option, flag=flag, sizes=sizes, data_dir=data_dir)
(folder / "values.json").write_text(json.dumps(values))
(folder / "threads").write_text(os.environ.get("OMP_NUM_THREADS", ""))
with open(folder.parent / "log.txt", "a") as log:
    log.write(f"{seed}\\n")
record = dict(name="tiny", parameters=values, seed=seed, started="", data={}, claims={})
(folder / "record.json").write_text(json.dumps(record))
if seed == 13:
    raise AssertionError("thirteen brings bad luck")
"""
DOING = """
if name == "sleep" or name == "sleep last" and seed:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
if name == "slow":
    time.sleep(2)
if name == "die" and seed:
    os.kill(os.getpid(), signal.SIGKILL)
if name == "die once" and not (folder.parent / "died").exists():
    (folder.parent / "died").touch()
    os.kill(os.getppid(), signal.SIGKILL)
if name == "die always":
    os.kill(os.getppid(), signal.SIGKILL)
"""


def write(path: Path, body: str = BODY + DOING, parameters: str = PARAMETERS) -> Path:
    """The notebook as a file."""
    code = nbformat.v4.new_code_cell
    cells = [code(parameters.strip(), metadata={"tags": ["parameters"]}), code(body.strip())]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def values(folder: Path) -> dict:
    """What a cell was given."""
    return json.loads((folder / "values.json").read_text(encoding="utf-8"))


def left_running(sweeps: Path) -> list[int]:
    """Processes of cells that say which they are."""
    pids = [
        int(pid)
        for path in sweeps.rglob("pids")
        for pid in path.read_text(encoding="utf-8").split()
    ]
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]
