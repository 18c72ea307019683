import numpy as np

from ldr_lib import guided
from ldr_lib.guided import show


def test_every_image_gets_its_own_map(monkeypatch):
    monkeypatch.setattr(show, "predict_structure", lambda net, image, *how: (image.shape, how))
    images = [np.zeros((40, 50)), np.zeros((60, 30))]
    found = guided.predict_images(None, images, "vessel", by="prototype")
    assert found == [((40, 50), ("vessel", "prototype")), ((60, 30), ("vessel", "prototype"))]


def test_thumbnails_take_every_kth_pixel_of_the_first_images():
    image = np.arange(800 * 600).reshape(800, 600)
    rows = guided.thumbnails({"large": [image] * 3, "small": [image[:100, :80]] * 3}, n=2)
    assert [len(images) for images in rows.values()] == [2, 2]
    assert np.array_equal(rows["large"][0], image[::3, ::3])
    assert np.array_equal(rows["small"][0], image[:100, :80])
