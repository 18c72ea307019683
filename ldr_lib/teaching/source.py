"""Shows a function as the notebook runs it."""

import ast
import inspect
import textwrap
from collections.abc import Callable

from ..data.checks import shown


def show_source(*functions: Callable) -> None:
    """Prints functions without their docstrings, so that a notebook shows the code that it runs.

    Args:
        functions: Functions of this package or your own.

    Raises:
        ValueError: Something is no function, or its text cannot be read.

    Example:
        >>> from ldr_lib.losses import cluster_area
        >>> show_source(cluster_area)
        def cluster_area(clusters: torch.Tensor, ...
            return (areas - 1 / clusters.shape[1]).square().mean()

    Taught in notebook 02, section 3.
    """
    sources = []
    for function in functions:
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (TypeError, OSError) as error:
            raise ValueError(
                f"functions must be written in Python where their text can be read, not "
                f"{shown(function)}"
            ) from error
        lines, definition = source.rstrip().splitlines(), ast.parse(source).body[0]
        if ast.get_docstring(definition) is not None:
            docstring = definition.body[0]
            del lines[docstring.lineno - 1 : docstring.end_lineno]
        sources.append("\n".join(lines))
    print("\n\n".join(sources))
