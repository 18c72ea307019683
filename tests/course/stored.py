"""The stored values of the assignments: `python tests/course/stored.py` writes them anew from the
model answers and from the mistakes below.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
import types
from pathlib import Path

import nbformat
import numpy as np
import torch

from ldr_lib.teaching.checks import STORED

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "notebooks" / "course" / "source"
HIDDEN = re.compile(r"^### BEGIN HIDDEN TESTS.*?^### END HIDDEN TESTS\n?", re.S | re.M)

HINTS = {
    "views: patch_grid": [
        "Averages over cells are what pooling does; a reshape that splits H and W works too.",
        "What is the length of a mean of unit vectors?",
        "A pixel that does not count adds nothing to a sum.",
    ],
    "views: turn_back": ["Undo the last thing first.", "A negative number of turns is allowed."],
    "views: mix": [
        "A tensor of shape (B,) is aligned with W, not with B, when it meets (B, C, H, W).",
        "Give the shares as many dimensions as the images have.",
    ],
    "patches: probabilities": [
        "A softmax over which axis? Row i holds the choice of anchor i among all j.",
        "What must a logit be, so that its share in a softmax is exactly zero?",
    ],
    "patches: patch_loss": [
        "The partner of row i is row i + N/2, and the other way round.",
        "The sum over negatives leaves out i itself (P is zero there anyway) and the partner.",
    ],
    "patches: mixup_target": [
        "A point between two points of a sphere lies inside it: bring it back to the surface.",
        "Nothing flows back through a target.",
    ],
    "regions: region_vectors": [
        "A weighted mean over pixels is a matrix product.",
        "Flatten H and W to p; then (N, D, p) and (N, K, p) meet over p.",
        "A pixel that does not count has no share in any cluster.",
    ],
    "regions: region_loss": [
        "A prototype is a weighted mean over images, back on the sphere.",
        "The softmax runs over prototypes j; the right one for region k is k.",
    ],
    "regions: area_loss": [
        "The area of a cluster in an image is the mean of its share over pixels.",
        "What is wanted is the same for all images: (K,) meets (N, K).",
    ],
    "priors: dice": ["& is intersection.", "Watch the division when both are empty."],
    "priors: soften": [
        "Booleans must become floats before blurring.",
        "A thin vessel gets weak when it is blurred: what is its largest value then?",
    ],
    "priors: render": [
        "Multiply, do not subtract: a dark place gets a darker vessel.",
        "Two layers one after the other: what two factors multiply to, exponents add up to.",
        "The prior and the field of view need a third axis.",
    ],
    "priors: by_prototype": [
        "First all scalar products, (K, H, W).",
        "A factor in front of an exponential is its logarithm inside.",
        "The softmax runs over k, and one of its K maps is asked for.",
    ],
    "training: top_1": [
        "All similarities are one matrix product; who is the most similar?",
        "The partner of row i of `first` is row i of `second`.",
    ],
    "training: trailing_mean": [
        "Value i may use values up to i, never later ones.",
        "The first values have fewer than `window` to average: divide by how many there are.",
    ],
    "experiment: leaked": ["Is each test patient among the training patients?"],
    "experiment: interval": [
        "Draw patients, not images: all images of a drawn patient come along.",
        "Every draw gives one mean; the interval holds the middle 95 % of these means.",
    ],
    "experiment: images_needed": [
        "Solve the inequality for n.",
        "A number of images is a whole number, and a smaller one does not suffice.",
    ],
}

MISTAKES = {
    "views: patch_grid": {
        "This is the plain mean: its length is below one, so it is not on the sphere.": """
            m = inside[:, None].float()
            pool = F.adaptive_avg_pool2d
            return pool(v * m, grid) / pool(m, grid).clamp(1e-6)""",
        "All pixels of a cell were averaged, those outside the field of view too.": """
            return F.normalize(F.adaptive_avg_pool2d(v, grid), dim=1)""",
        "Rows and columns of the grid are exchanged.": """
            v = v * inside[:, None]
            return F.normalize(F.adaptive_avg_pool2d(v, grid), dim=1).transpose(2, 3)""",
        "The vectors were brought to length one over the grid, not over D.": """
            return F.normalize(F.adaptive_avg_pool2d(v * inside[:, None], grid), dim=2)""",
    },
    "views: turn_back": {
        "The grid was turned further instead of back.": """
            return torch.rot90(z.flip(2) if mirrored else z, quarter_turns, (2, 3))""",
        "The turn was undone before the mirror: undo the last thing first.": """
            z = torch.rot90(z, -quarter_turns, (2, 3))
            return z.flip(2) if mirrored else z""",
        "The mirror was not undone.": "return torch.rot90(z, -quarter_turns, (2, 3))",
    },
    "views: mix": {
        "Every column of the image got its own share, instead of every image.": """
            return b + lam * (a - b)""",
        "The shares of a and b are exchanged.": """
            return a + lam.reshape(-1, 1, 1, 1) * (b - a)""",
    },
    "patches: probabilities": {
        "Each column sums to one instead of each row: the softmax runs over the wrong axis.": """
            logits = z @ z.T / temperature[:, None]
            logits = logits.masked_fill(torch.eye(len(z)).bool(), -torch.inf)
            return logits.softmax(0)""",
        "Every row may choose itself: leave k = i out of the sum.": """
            return (z @ z.T / temperature[:, None]).softmax(1)""",
        "The temperatures belong to anchors, the rows; here they were given to columns.": """
            logits = (z @ z.T / temperature).masked_fill(torch.eye(len(z)).bool(), -torch.inf)
            return logits.softmax(1)""",
        "The logits were multiplied by the temperature instead of divided.": """
            logits = z @ z.T * temperature[:, None]
            logits = logits.masked_fill(torch.eye(len(z)).bool(), -torch.inf)
            return logits.softmax(1)""",
        "The temperature is missing.": """
            return (z @ z.T).masked_fill(torch.eye(len(z)).bool(), -torch.inf).softmax(1)""",
    },
    "patches: patch_loss": {
        "The positives were left among the negatives.": """
            p = probabilities(torch.cat([anchors, positives]), temperature)
            i = torch.arange(len(p))
            no = torch.log1p(-p.clamp(max=1 - 1e-6))
            return -(p[i, i.roll(len(anchors))].log() + weight * no.sum(1)).mean()""",
        "This is the sum over anchors, not the mean.": """
            p = probabilities(torch.cat([anchors, positives]), temperature)
            i = torch.arange(len(p))
            j, no = i.roll(len(anchors)), torch.log1p(-p.clamp(max=1 - 1e-6))
            return -(p[i, j].log() + weight * (no.sum(1) - no[i, j])).sum()""",
        "The weight of the second term was left out.": """
            p = probabilities(torch.cat([anchors, positives]), temperature)
            i = torch.arange(len(p))
            j, no = i.roll(len(anchors)), torch.log1p(-p.clamp(max=1 - 1e-6))
            return -(p[i, j].log() + no.sum(1) - no[i, j]).mean()""",
        "The negatives are missing.": """
            p = probabilities(torch.cat([anchors, positives]), temperature)
            i = torch.arange(len(p))
            return -p[i, i.roll(len(anchors))].log().mean()""",
        "The partner is the wrong row: it lies N/2 rows away.": """
            p = probabilities(torch.cat([anchors, positives]), temperature)
            i = torch.arange(len(p))
            j, no = i.roll(1), torch.log1p(-p.clamp(max=1 - 1e-6))
            return -(p[i, j].log() + weight * (no.sum(1) - no[i, j])).mean()""",
    },
    "patches: mixup_target": {
        "The targets are not normalised after averaging: they lie inside the sphere.": """
            return z_b + lam.reshape(-1, 1, 1, 1) * (z_a - z_b)""",
        "The shares are exchanged.": """
            return F.normalize(z_a + lam.reshape(-1, 1, 1, 1) * (z_b - z_a), dim=1)""",
    },
    "regions: region_vectors": {
        "The mean is not brought back to length one.": """
            counted = a * inside[:, None]
            return torch.einsum('ndhw,nkhw->nkd', v, counted) / v[0, 0].numel()""",
        "Pixels outside the field of view were counted.": """
            return F.normalize(torch.einsum('ndhw,nkhw->nkd', v, a), dim=2)""",
        "This is the sum over pixels without normalisation.": """
            return torch.einsum('ndhw,nkhw->nkd', v, a * inside[:, None])""",
        "The vectors were brought to length one over clusters, not over D.": """
            a = a * inside[:, None]
            return F.normalize(torch.einsum('ndhw,nkhw->nkd', v, a), dim=1)""",
        "The shares were made hard: every pixel belongs to all clusters, a little.": """
            a = F.one_hot(a.argmax(1), a.shape[1]).permute(0, 3, 1, 2) * inside[:, None].float()
            return F.normalize(torch.einsum('ndhw,nkhw->nkd', v, a), dim=2)""",
    },
    "regions: region_loss": {
        "The softmax runs over images, not over prototypes.": """
            c = F.normalize((areas[..., None] * r).sum(0), dim=1)
            return -(r @ c.T / temperature).log_softmax(0).diagonal(dim1=1, dim2=2).mean()""",
        "The softmax runs over regions, not over prototypes.": """
            c = F.normalize((areas[..., None] * r).sum(0), dim=1)
            return -(r @ c.T / temperature).log_softmax(1).diagonal(dim1=1, dim2=2).mean()""",
        "The prototypes are not normalised after averaging.": """
            c = (areas[..., None] * r).sum(0) / areas.sum(0)[:, None]
            return -(r @ c.T / temperature).log_softmax(2).diagonal(dim1=1, dim2=2).mean()""",
        "All images weigh the same in the prototypes: use the areas.": """
            c = F.normalize(r.mean(0), dim=1)
            return -(r @ c.T / temperature).log_softmax(2).diagonal(dim1=1, dim2=2).mean()""",
        "The temperature is missing.": """
            c = F.normalize((areas[..., None] * r).sum(0), dim=1)
            return -(r @ c.T).log_softmax(2).diagonal(dim1=1, dim2=2).mean()""",
    },
    "regions: area_loss": {
        "The areas are ignored.": "return torch.zeros(())",
        "This is the sum over clusters, not the mean.": """
            return (a.mean((2, 3)) - wanted).square().sum(1).mean()""",
        "Equal areas were wanted, whatever `wanted` says.": """
            return (a.mean((2, 3)) - 1 / a.shape[1]).square().mean()""",
        "Areas were averaged over images first.": """
            return (a.mean((0, 2, 3)) - wanted).square().mean()""",
    },
    "priors: dice": {
        "This is intersection over union.": "return (a & b).sum() / (a | b).sum()",
        "The factor 2 is missing.": "return (a & b).sum() / (a.sum() + b.sum())",
    },
    "priors: soften": {
        "It is blurred but not scaled: thin vessels vanish.": """
            return ndimage.gaussian_filter(mask.astype(float), sigma)""",
        "The mask is still binary: its histogram gives it away.": "return mask.astype(float)",
    },
    "priors: render": {
        "The vessels are bright: they must absorb light.": """
            return background * (1 + strength * soft[..., None]) * inside[..., None]""",
        "Light falls in proportion to blood: two half layers let through more than one whole.": """
            return background * (1 - strength * soft[..., None]) * inside[..., None]""",
        "The vessels are subtracted: a dark place would become darker than black.": """
            return (background - strength * soft[..., None]) * inside[..., None]""",
        "Outside the field of view the image must be black.": """
            return background * (1 - strength) ** soft[..., None]""",
    },
    "priors: by_prototype": {
        "The softmax runs over pixels instead of clusters.": """
            s = torch.einsum('kd,dhw->khw', r, v) / temperature + areas.log()[:, None, None]
            return s.flatten(1).softmax(1)[0].reshape(s.shape[1:])""",
        "The temperature is missing.": """
            s = torch.einsum('kd,dhw->khw', r, v) + areas.log()[:, None, None]
            return s.softmax(0)[0]""",
        "All regions are equally likely beforehand: the areas are missing.": """
            return (torch.einsum('kd,dhw->khw', r, v) / temperature).softmax(0)[0]""",
    },
    "training: top_1": {
        "This compares partners only: it is their mean similarity, not a share of hits.": """
            return (first * second).sum(1).mean()""",
        "The smallest similarity was taken.": """
            return (first @ second.T).argmin(1).eq(torch.arange(len(first))).float().mean()""",
        "This counts hits instead of giving their share.": """
            return (first @ second.T).argmax(1).eq(torch.arange(len(first))).float().sum()""",
    },
    "training: trailing_mean": {
        "The mean looks ahead: at every step later losses are averaged too.": """
            x = np.asarray(losses, float)
            return np.array([x[max(0, i - window // 2):i + window // 2 + 1].mean()
                for i in range(len(x))])""",
        "The first values were divided by the whole window.": """
            x = np.concatenate([np.zeros(window - 1), losses])
            return np.array([x[i:i + window].mean() for i in range(len(losses))])""",
        "This is the mean of everything so far: it forgets nothing.": """
            return np.cumsum(losses) / np.arange(1, len(losses) + 1)""",
    },
    "experiment: leaked": {
        "This marks the images that are not leaked.": """
            return ~np.isin(test_patients, train_patients)""",
        "This looks at the training images: the test images are asked for.": """
            return np.isin(train_patients, test_patients)""",
    },
    "experiment: interval": {
        "Single images were drawn: those of one patient are alike, the interval is too narrow.": """
            gaps = np.asarray(better) - np.asarray(worse)
            rng = np.random.default_rng(0)
            means = gaps[rng.integers(0, len(gaps), (draws, len(gaps)))].mean(1)
            return gaps.mean(), *np.quantile(means, (0.025, 0.975))""",
        "The difference has the wrong sign.": """
            worse, better = better, worse
            return interval_of(better, worse, patients, draws)""",
    },
    "experiment: images_needed": {
        "This is not a whole number.": "return (1.96 * spread / half_width) ** 2",
        "The square is missing.": "return math.ceil(1.96 * spread / half_width)",
    },
}


def cells(assignment: str) -> list:
    return nbformat.read(SOURCE / assignment / f"{assignment}.ipynb", 4).cells


def visible(source: str) -> str:
    """A test cell as students see it."""
    return HIDDEN.sub("", source)


def scope_of(assignment: str) -> dict:
    """The names of an assignment's setup and model answers."""
    scope = types.ModuleType("stored").__dict__
    for cell in cells(assignment):
        about = cell.metadata["nbgrader"]
        if cell.cell_type == "code" and not about["grade"]:
            exec(cell.source, scope)  # noqa: S102
    return scope


def checked(assignment: str) -> list[tuple[str, str, str]]:
    """Task, function and call of each stored value that an assignment's tests ask for."""
    found = []
    for cell in cells(assignment):
        if not cell.metadata["nbgrader"]["grade"] or cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(visible(cell.source))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check_value":
                task = node.args[0].value
                lines = visible(cell.source).splitlines()
                before = [line for line in lines if re.match(r"[\w, ]+ = ", line)]
                found.append((task, "\n".join(before), ast.unparse(node.args[1])))
    return found


def plain(value) -> list | float:
    """A value as JSON holds it, rounded to six digits."""
    value = value.detach() if torch.is_tensor(value) else value
    return np.round(np.asarray(value, float), 6).tolist()


def stored(assignment: str) -> dict[str, dict]:
    """What the file holds for one assignment."""
    scope, found = scope_of(assignment), {}
    for task, before, call in checked(assignment):
        name = task.split(": ")[1]
        answer = scope[name]
        exec(before, scope)  # noqa: S102
        entry = found[task] = {"value": plain(eval(call, scope)), "mistakes": {}}  # noqa: S307
        head = "def " + name + str(inspect.signature(answer)) + ":"
        scope |= {f"{name}_of": answer}
        for said, body in MISTAKES[task].items():
            lines = textwrap.dedent(body.strip("\n")).splitlines()
            indented = "\n".join(f"    {line}" for line in lines)
            exec(f"{head}\n{indented}", scope)  # noqa: S102
            entry["mistakes"][said] = plain(eval(call, scope))  # noqa: S307
        scope[name] = answer
        entry["hints"] = HINTS[task]
    return found


def experiment(seed: int = 2020) -> dict[str, list]:
    """The made-up table of the assignment on judging an experiment: 36 test images of 12 patients,
    six of whom are in the training set too; only those gain from pretraining.
    """
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(101, 113), 3)
    both = np.arange(101, 113, 2)
    level = rng.normal(0.57, 0.05, 12).repeat(3) + rng.normal(0, 0.03, 36)
    gains = np.where(np.isin(np.arange(101, 113), both), 0.13, 0.01) + rng.normal(0, 0.03, 12)
    gains = gains.repeat(3) + rng.normal(0, 0.015, 36)
    rows = []
    for image, patient in enumerate(patients.tolist()):
        for seed in range(3):
            scratch, more = level[image] + rng.normal(0, 0.01), gains[image] + rng.normal(0, 0.01)
            rows.append([image, patient, seed, round(scratch, 3), round(scratch + more, 3)])
    others = rng.choice(np.arange(1, 60), 24, replace=False)
    training = np.concatenate([both, both, others, others])
    return {"rows": rows, "training": rng.permutation(training).tolist()}


def main() -> None:
    known = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    known["experiment: table"] = {"value": experiment()}
    for assignment in sys.argv[1:]:
        known |= stored(assignment)
    lines = [f"{json.dumps(task)}: {json.dumps(entry)}" for task, entry in sorted(known.items())]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
