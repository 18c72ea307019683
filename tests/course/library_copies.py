"""What a student gets who pastes functions of the library and of the notebooks, which lie in the
kit, instead of writing the ones that are asked for: only the head is changed, and arguments that
the pasted text does not know are ignored.
"""

import inspect
import textwrap

import nbformat
from conftest import ROOT

from ldr_lib import losses, metrics, vectors
from ldr_lib.data.views import Views

WITHOUT_CHECKS = """
def nothing(*inputs, **named):
    return inputs[0] if inputs else None
_require = _require_one_type = _require_temperature = whole = mask = one_shape = average = nothing
"""
"""The library's checks of arguments, and its talk between processes, are left out."""


def pasted(function, head: str, call: str) -> str:
    """The text of a library function under another name, and the asked function that calls it."""
    text = textwrap.dedent(inspect.getsource(function))
    text = text.replace(f"def {function.__name__}(", "def copied(")
    return f"{WITHOUT_CHECKS}\n{text}\n\ndef {head}:\n    return {call}\n"


def loss_as_written() -> str:
    """The patch loss that notebook 02 writes out."""
    notebook = nbformat.read(ROOT / "notebooks" / "02_two_branch_training.ipynb", 4)
    cell = next(cell for cell in notebook.cells if "def loss_as_written" in cell.source)
    return "def loss_as_written" + cell.source.split("def loss_as_written")[1].split("\n\n\n")[0]


REALIGN = (
    "copied(__import__('types').SimpleNamespace(pose=torch.full((len(z),), quarter_turns % 4 + 4 * "
    "mirrored)), z)"
)
PATCH_LOSS = "def patch_loss(anchors, positives, temperature=0.1, weight=1.0):\n    return "
COPIES = {
    "views": {
        "patch_grid": pasted(vectors.patch_grid, "patch_grid(v, inside, grid)", "copied(v, grid)"),
        "turn_back": pasted(Views.realign, "turn_back(z, quarter_turns, mirrored)", REALIGN),
        "mix": "def mix(a, b, lam):\n    part = lam[:, None, None, None]\n"
        "    return part * a + (1 - part) * b",
    },
    "patches": {
        "probabilities": "def probabilities(z, temperature=0.1):\n"
        "    scores = (z @ z.detach().T / temperature).fill_diagonal_(-torch.inf)\n"
        "    return scores.softmax(1)",
        "patch_loss": f"{loss_as_written()}\n\n{PATCH_LOSS}"
        "loss_as_written(anchors, positives, temperature)",
        "mixup_target": "def mixup_target(z_a, z_b, lam):\n    lam = lam.reshape(-1, 1, 1, 1)\n"
        "    return F.normalize(lam * z_a + (1 - lam) * z_b, dim=1).detach()",
    },
    "regions": {
        "region_vectors": pasted(
            vectors.region_vectors, "region_vectors(v, a, inside)", "copied(v, a)"
        ),
        "region_loss": "def region_loss(r, areas, temperature=0.2):\n"
        "    prototypes = F.normalize(r.mean(0), dim=1)\n"
        "    logits = r @ prototypes.T / temperature\n"
        "    return -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean()",
        "area_loss": pasted(losses.cluster_area, "area_loss(a, wanted)", "copied(a)"),
    },
    "priors": {
        "dice": pasted(metrics.dice, "dice(a, b)", "copied(a, b)"),
        "soften": "def soften(mask, sigma=1.0):\n"
        "    masks = torch.from_numpy(mask.astype(np.float32))[None, None]\n"
        "    smooth = F.avg_pool2d(F.pad(masks, (1, 1, 1, 1), mode='replicate'), 3, 1)\n"
        "    return (0.05 + 0.9 * (0.5 * masks + 0.5 * smooth))[0, 0].numpy()",
        "render": "def render(background, soft, inside, strength=0.4):\n"
        "    return background * np.exp(-strength * soft[..., None]) * inside[..., None]",
        "by_prototype": "def by_prototype(v, r, areas, temperature=0.2):\n"
        "    similarity = torch.einsum('nkd,ndhw->nkhw', r[None], v[None])\n"
        "    return (similarity / temperature).softmax(1)[0, 0]",
    },
}
"""Assignment to the pasted text of each answer. Where the library's lines stand inside a longer
function, they are copied here.
"""
MARKS = {"views": 3, "patches": 4, "regions": 0, "priors": 2}
"""Machine points that the copies get."""
