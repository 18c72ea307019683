"""The site, built once for all tests."""

import warnings

import pytest

from ldr_lib import DataError
from website.build import browser_packages, build


@pytest.fixture(scope="session")
def site(tmp_path_factory, own_folders):
    """Folder of the site; a warning fails the test."""
    try:
        browser_packages()
    except DataError as error:
        pytest.skip(f"the site cannot be tested: {error}")
    folder = tmp_path_factory.mktemp("pages") / "site"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        build(folder, "https://github.com/someone/eyes")
    return folder
