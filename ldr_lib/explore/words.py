"""Names that a user has chosen, as words in a figure: letter by letter and never as formulas."""

import functools

from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.legend import Legend

EAST_ASIAN = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "SimHei",
    "Yu Gothic",
    "Malgun Gothic",
)
"""Fonts with letters that matplotlib's own font lacks; those that are installed are used."""
LONGEST = 80
"""Letters of a name that are shown in a title; in a legend there is room for 32."""


def shown_name(name: str, longest: int = LONGEST) -> str:
    """A name as it can be drawn.

    Args:
        name: Any text.
        longest: Letters of which a longer name keeps both ends.

    Returns:
        The name; a letter that no installed font has, or that cannot be printed, as its number in
        Unicode.

    Example:
        >>> shown_name("$5_a$"), shown_name("eye\\n")
        ('$5_a$', 'eyeU+000A')
    """
    name = str(name)
    if len(name) > longest:
        half = longest // 2 - 2
        name = f"{name[:half]} … {name[-half:]}"
    return "".join(letter if _can_be_drawn(letter) else f"U+{ord(letter):04X}" for letter in name)


def _can_be_drawn(letter: str) -> bool:
    return letter == " " or (
        letter.isprintable()
        and any(get_font(path).get_char_index(ord(letter)) for path in _font_files(_families()))
    )


def _families() -> tuple[str, ...]:
    """The fonts of the figures, and installed ones for what they lack."""
    return (*rcParams["font.family"], *_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    known = {font.name for font in fontManager.ttflist}
    return tuple(name for name in EAST_ASIAN if name in known)


@functools.cache
def _font_files(families: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(findfont(FontProperties(family=[family])) for family in families)


def as_written() -> dict:
    """Options of a text in which nothing stands for something else."""
    return {"parse_math": False, "usetex": False, "fontfamily": list(_families())}


def write_title(axis: Axes, name: str, **options) -> None:
    """Writes a name above a panel.

    Args:
        axis: The panel.
        name: Any text; lines stay lines.
        options: As `Axes.set_title` takes them.
    """
    lines = [shown_name(line) for line in str(name).split("\n")]
    axis.set_title("\n".join(lines), **as_written(), **options)


def write_legend(
    owner: Figure | Axes, handles: list[Artist], names: list[str], **options
) -> Legend:
    """A legend of names, also of those that begin with an underscore.

    Args:
        owner: Figure or panel that it belongs to.
        handles: What each name stands for.
        names: Any texts.
        options: As `Figure.legend` takes them.
    """
    legend = owner.legend(handles, ["name"] * len(handles), **options)
    for text, name in zip(legend.get_texts(), names):
        text.set(text=shown_name(name, 32), **as_written())
    return legend
