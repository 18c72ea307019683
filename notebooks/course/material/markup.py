"""Markdown with formulas as HTML that needs no program and no network to be shown."""

import re
from collections.abc import Callable

from latex2mathml.converter import convert
from nbconvert.filters import markdown2html

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.S)
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.S)


def to_html(markdown: str, typeset: Callable[..., str] = convert) -> str:
    """Markdown as HTML, its formulas ($...$ and $$...$$) as MathML, or as `typeset` gives them."""
    formulas = []

    def put_aside(found: re.Match) -> str:
        display, inline = found.groups()
        formulas.append(typeset(display or inline, display="block" if display else "inline"))
        return f"FORMULA{len(formulas) - 1}END"

    parts = CODE.split(markdown)  # every second part is code, in which $ is a letter like others
    parts[::2] = [FORMULA.sub(put_aside, part) for part in parts[::2]]
    html = markdown2html("".join(parts))
    return re.sub(r"FORMULA(\d+)END", lambda found: formulas[int(found.group(1))], html)
