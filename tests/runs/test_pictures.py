import base64
import io

import numpy as np
import pytest
from PIL import Image

from ldr_lib import DataError
from ldr_lib.runs.pictures import data_url, encode


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)


def opened(encoded):
    return Image.open(io.BytesIO(encoded))


def test_a_png_keeps_every_pixel_and_a_jpeg_is_near(image):
    assert (np.asarray(opened(encode(image, "png"))) == image).all()
    smooth = np.full_like(image, 120)
    jpeg = opened(encode(smooth))
    assert jpeg.format == "JPEG" and np.abs(np.asarray(jpeg).astype(int) - 120).max() <= 2


def test_masks_grey_images_files_and_paths_are_encoded(image, tmp_path):
    mask = image[..., 0] > 127
    assert (np.asarray(opened(encode(mask, "png"))) == 255 * mask).all()
    assert opened(encode(image[..., :1])).mode == "L"
    path = tmp_path / "image.png"
    path.write_bytes(encode(image, "png"))
    transparent = Image.fromarray(image).convert("RGBA")
    transparent.save(tmp_path / "transparent.png")
    for given in (path, path.read_bytes(), (tmp_path / "transparent.png").read_bytes()):
        assert opened(encode(given)).size == (90, 60) and opened(encode(given)).mode == "RGB"


def test_a_large_image_is_shrunk_in_proportion_and_a_small_one_is_kept(image):
    assert opened(encode(image, fit=(45, 100))).size == (45, 30)
    assert opened(encode(image, fit=(900, 900))).size == (90, 60)


def test_a_data_url_holds_the_file(image):
    for kind in ("png", "jpeg"):
        encoded = encode(image, kind)
        head, _, body = data_url(encoded).partition(",")
        assert head == f"data:image/{kind};base64" and base64.b64decode(body) == encoded


def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match='unknown kind of image file "gif"'):
        encode(image, "gif")
    for given in (image / 255, b"no image", image[0, 0]):
        with pytest.raises(DataError, match="image"):
            encode(given)
