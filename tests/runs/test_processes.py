"""One process for each piece of work, marks and time limits."""

import os
import subprocess
import sys
import time

from ldr_lib.runs.processes import MARK, end_processes, in_own_processes, new_mark, time_limit


def unlucky(number):
    if number == 1:
        os.kill(os.getpid(), 9)
    if number == 2:
        raise ValueError("two is too many")
    if number == 4:
        return {}["four"]
    return 10 * number


def test_a_process_that_is_killed_costs_its_item_only():
    ended = sorted(in_own_processes(unlucky, [0, 1, 2, 3], jobs=2))
    assert [item for item, _, _ in ended] == [0, 1, 2, 3]
    assert [result for _, result, _ in ended] == [0, None, None, 30]
    assert "killed" in ended[1][2] and ended[2][2] == "two is too many"


def test_only_an_error_of_the_program_shows_its_traceback(capfd):
    ((_, _, why),) = in_own_processes(unlucky, [2], jobs=1)
    assert why == "two is too many" and "Traceback" not in capfd.readouterr().err
    ((_, _, why),) = in_own_processes(unlucky, [4], jobs=1)
    assert why == "KeyError: 'four'" and 'return {}["four"]' in capfd.readouterr().err


def sleeper(mark):
    program = "import time; time.sleep(60)"
    return subprocess.Popen([sys.executable, "-c", program], env=os.environ | {MARK: mark})


def test_a_mark_ends_its_own_processes_and_those_that_they_start_but_no_others():
    mine = new_mark()
    within, own, other = sleeper(f"{mine}inner;"), sleeper(mine), sleeper(new_mark())
    end_processes(mine)
    assert within.wait(5) == own.wait(5) == -9 and other.poll() is None
    other.kill()


def test_a_time_limit_ends_what_takes_longer():
    mine, started = new_mark(), time.monotonic()
    with time_limit(0.01, mine) as over:
        assert sleeper(mine).wait(30) == -9
    assert over.is_set() and time.monotonic() - started < 20
    with time_limit(None, mine) as over:
        assert not over.is_set()
