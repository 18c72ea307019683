import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import ndimage

from ldr_lib import guided
from ldr_lib.guided import show


def test_every_image_gets_its_own_map(monkeypatch):
    monkeypatch.setattr(show, "map_in", lambda net, image, *how: (image.shape, how))
    images = [np.zeros((40, 50)), np.zeros((60, 30))]
    found = guided.predict_images(None, images, "vessel", by="prototype")
    assert found == [((40, 50), ("vessel", "prototype")), ((60, 30), ("vessel", "prototype"))]


def test_thumbnails_take_every_kth_pixel_of_the_first_images():
    image = np.arange(800 * 600).reshape(800, 600)
    rows = guided.thumbnails({"large": [image] * 3, "small": [image[:100, :80]] * 3}, n=2)
    assert [len(images) for images in rows.values()] == [2, 2]
    assert np.array_equal(rows["large"][0], image[::3, ::3])
    assert np.array_equal(rows["small"][0], image[:100, :80])


def test_contours_of_reduced_images_have_no_gaps():
    rows, columns = np.mgrid[:1300, :1700]
    masks = [(rows - 600) ** 2 + (columns - at) ** 2 < 70**2 for at in (500, 900)]
    images = [np.zeros((1300, 1700, 3), np.uint8)] * 2
    green = {"fovea": (0.0, 1.0, 0.0)}
    for painted in show.outlined(images, {"fovea": masks}, green, side=200):
        assert painted.shape == (153, 200, 3)
        line = painted[..., 1] == 1
        _, parts = ndimage.label(~line)
        assert line.any() and parts == 2  # inside and outside of a closed line
    (kept,) = show.outlined([images[0][:90, :80]], {"fovea": [masks[0][:90, :80]]}, green)
    assert kept.shape == (90, 80, 3)
    with pytest.raises(ValueError, match="structure of colours"):
        show.outlined(images, {"disc": masks}, green)
    with pytest.raises(ValueError, match="images"):
        show.outlined(images, {"fovea": masks[:1]}, green)


def test_bars_of_the_study_tell_guided_networks_controls_and_references_apart():
    ways = {
        "octa prior, steadied, long": "guided network",
        "octa prior, rendered, short": "guided network",
        "octa prior, rendered, shuffled, short": "control",
        "untrained, short": "control",
        "supervised with one label, short": "rule or reference",
        "frangi, top tenth": "rule or reference",
    }
    index = pd.MultiIndex.from_product([["vessel"], ways])
    dice = [f"{0.1 * (i + 1):.1f} ± 0.1" if i % 2 else f"{0.1 * (i + 1):.1f}" for i in range(6)]
    figure = show.study_bars(pd.DataFrame({"Dice": dice}, index))
    axis = figure.axes[0]
    shown = [to_hex(bar.get_facecolor()) for bar in axis.patches]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert dict(zip(names, shown)) == {way: show.KINDS[kind] for way, kind in ways.items()}
    assert [bar.get_width() for bar in axis.patches] == pytest.approx(np.arange(1, 7) / 10)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(show.KINDS)
    plt.close(figure)
    with pytest.raises(ValueError, match="must hold Dice"):
        show.study_bars(pd.DataFrame({"AUC": dice}, index))
