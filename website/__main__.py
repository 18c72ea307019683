"""The command line: `python -m website FOLDER`."""

import argparse
import sys
from pathlib import Path

from ldr_lib import DataError

from .build import build
from .repository import repository

parser = argparse.ArgumentParser(prog="python -m website", description="Write the kit as pages.")
parser.add_argument("folder", type=Path, help="where the pages are written; its pages are replaced")
parser.add_argument(
    "--repository",
    default=repository(),
    help="address of the public repository; default: that of pyproject.toml",
)

if __name__ == "__main__":
    given = parser.parse_args()
    try:
        print(build(given.folder, given.repository))
    except (DataError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
