import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ["LDR_DATA"]).resolve() if os.environ.get("LDR_DATA") else None


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def own_folders(cache, tmp_path_factory):
    """Tests neither read nor fill the user's cache, nor write into the user's runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LDR_CACHE", str(cache))
        patch.setenv("LDR_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.delenv("LDR_TIER", raising=False)
        yield


@pytest.fixture
def real_data():
    """Folder of the real datasets, as LDR_DATA names it."""
    if REAL_DATA is None or not REAL_DATA.is_dir():
        where = f"; {REAL_DATA} is no folder" if REAL_DATA else ""
        pytest.skip(
            "needs real images: set LDR_DATA to the folder that holds CHASE_DB1 and the other "
            f"datasets, as in LDR_DATA=/path/to/data make test{where}"
        )
    return REAL_DATA


@pytest.fixture
def images():
    """Twelve images of coarse random squares, (12, 48, 48, 3) uint8."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12, 12, 3))
    return coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)


@pytest.fixture
def photograph():
    """Makes a plausible photograph: a lit disc with texture on black, (H, W, 3) uint8."""

    def make(seed: int = 0, height: int = 96, width: int = 96) -> np.ndarray:
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:height, :width]
        inside = np.hypot(rows - height / 2, columns - width / 2) < min(height, width) * 0.45
        texture = 120 + 40 * np.sin(rows / (5 + seed % 3)) + 20 * rng.random((height, width))
        return (inside[..., None] * texture[..., None] * [1.0, 0.6, 0.4]).astype(np.uint8)

    return make


@pytest.fixture
def save():
    """Writes an array as an image file, making folders as needed."""

    def write(path: Path, pixels: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def unit():
    """Seeded random unit vectors along dimension 1."""

    def draw(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
        x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
        return torch.nn.functional.normalize(x, dim=1)

    return draw


@pytest.fixture(scope="session")
def browser():
    """Debian's or Google's Chromium, driven by Playwright."""
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip(
            "Chromium was not found: install it (apt install chromium) to test the explorer in a "
            "real browser"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that fails the test on any script error."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    opened, errors = context.new_page(), []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert not errors
