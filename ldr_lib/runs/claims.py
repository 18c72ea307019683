"""The claims that the notebooks test, as `notebooks/claims.yaml` lists them."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from ..data.checks import path as path_of
from ..data.checks import text
from ..data.errors import DataError, in_one_line, one_of

PATH = Path(__file__).resolve().parents[2] / "notebooks" / "claims.yaml"


@dataclass(frozen=True)
class Claim:
    """One line of the ledger.

    Attributes:
        id: Short name.
        says: The claim in words, for the report.
        sentence: How the notebook prints it; a word in braces stands for any word, as
            `{structure}`.
        metric: What is compared.
        data: Datasets on which it is tested: values of the notebook's parameter `dataset`.
        notebook: Name of the notebook that tests it.
        figure: Of that notebook, where one can see it.
        source: "method" (a claim of the paper) or "kit" (one of ours).
        mechanism: "published" where the paper's own method is tested, "ours" where a variant of
            ours is.
        tested_on: The dataset as the report names it, where it is another than that of the
            parameter `dataset`.
        bound: By how much one number has to exceed the other.
        inside: Whether one run of the notebook compares seeds itself, from committed records.
    """

    id: str
    says: str
    sentence: str
    metric: str
    data: tuple[str, ...]
    notebook: str
    figure: str
    source: str = "kit"
    mechanism: str = "published"
    tested_on: str = ""
    bound: float = 0.0
    inside: bool = False

    def matches(self, sentence: str) -> bool:
        """Whether a printed sentence is this claim."""
        return self._match(sentence) is not None

    def filled(self, sentence: str) -> str:
        """The words that stand in the place of those in braces."""
        return " ".join(self._match(sentence).groups())

    def _match(self, sentence: str) -> re.Match | None:
        pattern = re.sub(r"\\{\w+\\}", r"(\\w+)", re.escape(self.sentence))
        return re.fullmatch(pattern, sentence)

    @property
    def images(self) -> str:
        """ "simulated", "real", or "real and simulated"."""
        return kind_of_images(self.data)

    @property
    def command(self) -> str:
        """What tests the claim over three seeds."""
        if self.inside:
            return f"python -m ldr_lib execute notebooks/{self.notebook}.ipynb"
        grid = f"--grid dataset={','.join(self.data)} --grid seed=0,1,2"
        return f"python -m ldr_lib sweep notebooks/{self.notebook}.ipynb {grid}"


def kind_of_images(datasets: Iterable[str]) -> str:
    """ "simulated", "real", or "real and simulated".

    Example:
        >>> kind_of_images(["chase_db1", "simulated_fundus"])
        'real and simulated'
    """
    kinds = {"simulated" if name.startswith("simulated") else "real" for name in datasets}
    return " and ".join(sorted(kinds))


def all_claims(path: Path = PATH) -> tuple[Claim, ...]:
    """The claims of `claims.yaml`; none where the package is installed without the notebooks.

    Raises:
        DataError: The file has an entry with a missing or unknown key, or two of one id; the
            message names it.
    """
    return _all_claims(path_of(path, "path"))


@functools.cache
def _all_claims(path: Path) -> tuple[Claim, ...]:
    if not path.exists():
        return ()
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        words = in_one_line(error)
        raise DataError(f"{path} cannot be read as a list of claims ({words})") from error
    if not isinstance(entries, list):
        raise DataError(f"{path} must hold a list of claims")
    claims = []
    for number, entry in enumerate(entries, 1):
        try:
            claims.append(_claim(entry))
            one_of(claims[-1].source, ("method", "kit"), "source")
            one_of(claims[-1].mechanism, ("published", "ours"), "mechanism")
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            name = entry.get("id", "without id") if isinstance(entry, dict) else entry
            words = str(error).replace("Claim.__init__() ", "")
            raise DataError(f"{path.name}, entry {number} ({name}): {words}") from error
    ids = [claim.id for claim in claims]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise DataError(f"{path.name} has two claims of the id {', '.join(sorted(twice))}")
    return tuple(claims)


def _claim(entry: dict) -> Claim:
    """One entry of the file.

    Raises:
        TypeError: A key is missing, unknown, or its value is of another kind; it is named.
    """
    if not isinstance(entry, dict):
        raise TypeError("it must hold lines of name: value")
    kinds = {field.name: field.type for field in fields(Claim)} | {"data": list, "bound": float}
    for name, value in entry.items():
        kind = kinds.get(name, object)
        if not isinstance(value, kind) and not (kind is float and type(value) is int):
            raise TypeError(f"{name} must be a {kind.__name__}, not {value!r}")
    claim = Claim(**entry | {"data": tuple(entry.get("data", ()))})
    if not claim.data or not all(isinstance(name, str) for name in claim.data):
        raise TypeError("data must be a list of names")
    return claim


def claim_of(notebook: str, sentence: str) -> Claim | None:
    """The claim that a notebook's sentence tests; None for a notebook without claims in the ledger.

    Raises:
        DataError: The notebook has claims in the ledger and this is none of them.
    """
    text(notebook, "notebook"), text(sentence, "sentence")
    own = [claim for claim in all_claims() if claim.notebook == notebook]
    found = [claim for claim in own if claim.matches(sentence)]
    if own and not found:
        raise DataError(
            f'"{sentence}" is not among the claims of {notebook} in {PATH.name}: '
            "add it there, or correct the sentence"
        )
    return found[0] if found else None
