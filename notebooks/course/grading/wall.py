"""Where a student's program runs: out of reach of the lecturer's files, of the network and of the
gradebook.

A wall is the beginning of a command line. `container` uses an image made from the `Dockerfile`
beside this file; `namespace` builds a small root folder of what a program needs to run, read-only,
with Linux' own tools, enters it and gives up all rights. Neither holds the course's sources.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGE = "ldr-grading"
MEMORY_MIB = 6144
UNPROTECTED = (
    "Grading WITHOUT A WALL: students' programs run with your rights and can read your sources "
    "and change the gradebook."
)
REFUSED = (
    "Grading would run students' programs with your rights, and they could read the solutions and "
    "change the gradebook: build the container image (`make wall`), or grade on Linux where "
    "`unshare` is allowed, or set LDR_GRADE_WALL=none to grade without protection."
)

ENTER = r"""
set -e
root=$1; shift
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/walled/ldr_lib" "$root/walled/grading"
mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/tmp"
mkdir "$root/dev/shm"; mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/dev/shm"
only_reading() { mount -o remount,bind,ro,nosuid "$1" || mount -o remount,bind,ro "$1"; }
echo "$SHOWN" | while IFS= read -r path; do
    if [ -d "$path" ]; then mkdir -p "$root$path"
    else mkdir -p "$root$(dirname "$path")"; touch "$root$path"; fi
    mount --bind "$path" "$root$path"
    only_reading "$root$path"
done
mount --bind "$PACKAGE" "$root/walled/ldr_lib"; only_reading "$root/walled/ldr_lib"
mount --bind "$GRADING" "$root/walled/grading"; only_reading "$root/walled/grading"
for link in bin sbin lib lib64; do
    if [ -L "/$link" ]; then ln -s "$(readlink "/$link")" "$root/$link"; fi
done
for device in null zero random urandom; do
    touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc" 2>/dev/null || true
cd "$root/tmp"
exec chroot "$root" setpriv $IDENTITY --no-new-privs --bounding-set=-all --inh-caps=-all \
    --pdeathsig KILL prlimit --nproc=1024 --fsize=536870912 --core=0 "$@"
"""
"""Shell lines that build the root folder and enter it; they run in namespaces of their own, so that
nothing of it is seen outside and all of it is gone at the end.
"""


class Namespace:
    """A root folder of its own with another user's rights, by util-linux."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="wall-"))

    def command(self) -> tuple[list[str], dict[str, str]]:
        root = os.geteuid() == 0
        identity = "--reuid=65534 --regid=65534 --clear-groups" if root else ""
        start = ["setpriv", "--pdeathsig", "KILL", "unshare"]  # it ends with grading, come what may
        start += ["--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"]
        start += [] if root else ["--map-root-user"]
        start += ["sh", "-c", ENTER, "wall", str(self.root)]
        outside = {
            "SHOWN": "\n".join(shown()),
            "PACKAGE": str(package()),
            "GRADING": str(HERE),
            "IDENTITY": identity,
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        }
        inside = ["env", "-i", *environment("/walled"), sys.executable]
        return [*start, *inside, "/walled/grading/worker.py"], outside

    def stop(self, process: subprocess.Popen) -> None:
        """Kills the first process of the namespace, and with it every other one there."""
        _kill_with_children(process)

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def _kill_with_children(process: subprocess.Popen) -> None:
    for child in _children(process.pid):
        _kill(child)
    process.kill()
    process.wait()


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
        return [int(one) for one in listed.split()]
    except OSError:
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


class Container:
    """A container without network, rights or volumes, by Docker or Podman."""

    def __init__(self):
        self.name = f"ldr-grading-{uuid.uuid4().hex[:12]}"

    def command(self) -> tuple[list[str], dict[str, str]]:
        limits = ["--memory", f"{MEMORY_MIB}m", "--pids-limit", "512", "--cap-drop", "ALL"]
        limits += ["--network", "none", "--read-only", "--security-opt", "no-new-privileges"]
        places = ["--user", "65534:65534", "--tmpfs", "/tmp:size=512m,mode=1777"]
        start = [engine(), "run", "--rm", "--interactive", "--init", "--name", self.name]
        return [*start, *limits, *places, IMAGE], dict(os.environ)

    def stop(self, process: subprocess.Popen) -> None:
        subprocess.run([engine(), "kill", self.name], capture_output=True, check=False)
        process.kill()
        process.wait()

    def close(self) -> None:
        """Nothing is left: the container is removed when it ends."""


class Unprotected:
    """No wall: the student's program runs as the lecturer, in a folder of its own."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="no-wall-"))

    def command(self) -> tuple[list[str], dict[str, str]]:
        paths = [part.partition("=") for part in environment(str(package().parent))]
        return [sys.executable, str(HERE / "worker.py")], {
            **os.environ,
            **{name: value for name, _, value in paths if name == "PYTHONPATH"},
            "TMPDIR": str(self.folder),
        }

    def stop(self, process: subprocess.Popen) -> None:
        _kill_with_children(process)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


WALLS = {"container": Container, "namespace": Namespace, "none": Unprotected}


def environment(code: str) -> list[str]:
    """What a student's program finds in its environment: nothing of the lecturer's."""
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    return [
        f"PYTHONPATH={code}",
        f"OMP_NUM_THREADS={threads}",
        "OMP_WAIT_POLICY=PASSIVE",  # threads that wait leave a busy machine to others
        "HOME=/tmp",
        "LDR_CACHE=/tmp/cache",
        "LDR_RUNS=/tmp/runs",
        "MPLCONFIGDIR=/tmp/matplotlib",
        "PATH=/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE=1",
        f"LDR_TIER={os.environ.get('LDR_TIER', '')}",
    ]


def package() -> Path:
    """Folder of ldr_lib, without importing it."""
    from importlib.util import find_spec

    return Path(find_spec("ldr_lib").origin).resolve().parent


def shown() -> list[str]:
    """Files and folders that a program needs to run: the system's, Python's, and no others."""
    system = ["/usr", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/alternatives"]
    system += [f"/{name}" for name in ("bin", "sbin", "lib", "lib64")]
    python = [sys.prefix, sys.base_prefix, sysconfig.get_path("purelib")]
    found = {path for path in (*system, *python) if Path(path).exists() and not _link(path)}
    return sorted(path for path in found if not any(_inside(path, other) for other in found))


def _link(path: str) -> bool:
    return Path(path).is_symlink() and Path(path).parent == Path("/")


def _inside(path: str, other: str) -> bool:
    return path != other and Path(other) in Path(path).parents


def engine() -> str | None:
    """Docker or Podman, whichever is installed."""
    return shutil.which("docker") or shutil.which("podman")


def choose() -> str:
    """Name of the wall to use: LDR_GRADE_WALL, or the first that works here.

    Raises:
        SystemExit: There is none, or the one that was asked for does not work.
    """
    asked = os.environ.get("LDR_GRADE_WALL", "")
    if asked and asked not in WALLS:
        raise SystemExit(f"LDR_GRADE_WALL must be one of {', '.join(WALLS)}, not {asked!r}")
    if asked == "none":
        return asked
    for name in [asked] if asked else ["container", "namespace"]:
        if works(name):
            return name
    raise SystemExit(REFUSED)


@cache
def works(name: str) -> bool:
    """Whether the wall stands on this computer."""
    if name == "container":
        return engine() is not None and not _run([engine(), "image", "inspect", IMAGE])
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "setpriv", "prlimit"))):
        return False
    wall = Namespace()
    try:
        command, environ = wall.command()
        return not _run([*command[:-1], "-c", "import ldr_lib"], environ)
    finally:
        wall.close()


def _run(command: list[str], environ: dict | None = None) -> int:
    return subprocess.run(
        command, env=environ, capture_output=True, stdin=subprocess.DEVNULL, check=False
    ).returncode
