"""The command line: `python -m ldr_lib --help`. The commands are those of `ldr_lib.commands`."""

import sys

from .commands import app

if __name__ == "__main__":
    sys.exit(app())
