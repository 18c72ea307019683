"""The site, built once for all tests."""

import shutil
import warnings

import pytest

from website.build import build
from website.repository import repository


@pytest.fixture(scope="session")
def site(tmp_path_factory, own_folders):
    """Folder of the site; a warning fails the test."""
    if shutil.which("npm") is None:
        pytest.skip("npm was not found: install Node.js to test the site")
    folder = tmp_path_factory.mktemp("pages") / "site"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        build(folder, repository())
    return folder
