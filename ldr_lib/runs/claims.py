"""The claims that the notebooks test, as `notebooks/claims.yaml` lists them."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..data.errors import DataError

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
        data: Datasets on which it is tested.
        notebook: Name of the notebook that tests it.
        figure: Of that notebook, where one can see it.
        source: "method" (a claim of the paper) or "kit" (one of ours).
        bound: By how much one number has to exceed the other.
        inside: Whether one run of the notebook compares seeds itself, from kept records.
    """

    id: str
    says: str
    sentence: str
    metric: str
    data: tuple[str, ...]
    notebook: str
    figure: str
    source: str = "kit"
    bound: float = 0.0
    inside: bool = False

    def matches(self, sentence: str) -> bool:
        """Whether a printed sentence is this claim."""
        pattern = re.sub(r"\\{\w+\\}", r"\\w+", re.escape(self.sentence))
        return re.fullmatch(pattern, sentence) is not None

    @property
    def command(self) -> str:
        """What tests the claim over three seeds."""
        if self.inside:
            return f"python -m ldr_lib.runs execute notebooks/{self.notebook}.ipynb"
        return f"python -m ldr_lib.runs sweep notebooks/{self.notebook}.ipynb --grid dataset={','.join(self.data)} --grid seed=0,1,2"


@functools.cache
def all_claims(path: Path = PATH) -> tuple[Claim, ...]:
    """The claims of `claims.yaml`; none where the package is installed without the notebooks.

    Raises:
        DataError: The file has an entry with a missing or unknown key, or two of one id; the
            message names it.
    """
    if not path.exists():
        return ()
    claims = []
    for number, entry in enumerate(yaml.safe_load(path.read_text()), 1):
        try:
            claims.append(Claim(**entry | {"data": tuple(entry["data"])}))
        except (TypeError, KeyError) as error:
            raise DataError(
                f"{path.name}, entry {number} ({entry.get('id', 'without id')}): {str(error).replace('Claim.__init__() ', '')}"
            ) from error
    ids = [claim.id for claim in claims]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise DataError(f"{path.name} has two claims of the id {', '.join(sorted(twice))}")
    return tuple(claims)


def claim_of(notebook: str, sentence: str) -> Claim | None:
    """The claim that a notebook's sentence tests; None for a notebook without claims in the ledger.

    Raises:
        DataError: The notebook has claims in the ledger and this is none of them.
    """
    own = [claim for claim in all_claims() if claim.notebook == notebook]
    found = [claim for claim in own if claim.matches(sentence)]
    if own and not found:
        raise DataError(
            f'"{sentence}" is not among the claims of {notebook} in {PATH.name}: add it there, or correct the sentence'
        )
    return found[0] if found else None
