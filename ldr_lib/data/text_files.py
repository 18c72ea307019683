"""Text files of datasets: tables, lists and contours, which may be damaged."""

from pathlib import Path

from .errors import DataError, printable


def read_text(path: Path) -> str:
    """The content of a text file in UTF-8, with or without the mark that some programs put first.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, or is no text in UTF-8; the message names the line.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "list.txt"
        ...     _ = path.write_bytes(b"\\xef\\xbb\\xbfone.png\\ntwo.png")
        ...     read_text(path).split()
        ['one.png', 'two.png']
    """
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{printable(path)} cannot be read: {error.strerror}. Copy it again, or change its "
            "permissions (chmod u+r)."
        ) from error
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise DataError(
            f"{printable(path)} is no text in UTF-8: byte {error.object[error.start]:#04x} in line "
            f"{line}. Copy it again, or save it as UTF-8."
        ) from error
