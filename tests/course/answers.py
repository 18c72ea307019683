"""Answers that a student might plausibly give, wrong ones with the tests they must fail, and right
ones written differently.
"""

G, T, M = "patch_grid", "turn_back", "mix"
P, L, X = "probabilities", "patch_loss", "mixup_target"
R, D, A = "region_vectors", "region_loss", "area_loss"


def function(head, *lines):
    return "\n".join([f"def {head}:", *(f"    {line}" for line in lines)])


WRONG = [
    (
        "views",
        G,
        "no normalisation after averaging",
        function(
            "patch_grid(v, inside, grid)", "return F.adaptive_avg_pool2d(v * inside[:, None], grid)"
        ),
        ["patch_grid_test"],
    ),
    (
        "views",
        G,
        "normalised over the grid instead of the vector",
        function(
            "patch_grid(v, inside, grid)",
            "return F.normalize(F.adaptive_avg_pool2d(v * inside[:, None], grid), dim=2)",
        ),
        ["patch_grid_test"],
    ),
    (
        "views",
        G,
        "largest instead of mean",
        function(
            "patch_grid(v, inside, grid)",
            "return F.normalize(F.adaptive_max_pool2d(v * inside[:, None], grid), dim=1)",
        ),
        ["patch_grid_test"],
    ),
    (
        "views",
        G,
        "calls the kit",
        "from ldr_lib import losses\n"
        + function(
            "patch_grid(v, inside, grid)", "return losses.patch_grid(v * inside[:, None], grid)"
        ),
        ["patch_grid_test"],
    ),
    (
        "views",
        T,
        "wrong quarter-turn direction",
        function(
            "turn_back(z, quarter_turns, mirrored)",
            "z = z.flip(2) if mirrored else z",
            "return torch.rot90(z, quarter_turns, (2, 3))",
        ),
        ["turn_back_test"],
    ),
    (
        "views",
        T,
        "turn undone first",
        function(
            "turn_back(z, quarter_turns, mirrored)",
            "z = torch.rot90(z, -quarter_turns, (2, 3))",
            "return z.flip(2) if mirrored else z",
        ),
        ["turn_back_test"],
    ),
    (
        "views",
        T,
        "mirror forgotten",
        function(
            "turn_back(z, quarter_turns, mirrored)", "return torch.rot90(z, -quarter_turns, (2, 3))"
        ),
        ["turn_back_test"],
    ),
    (
        "views",
        M,
        "shares along the columns",
        function("mix(a, b, lam)", "return lam * a + (1 - lam) * b"),
        ["mix_test"],
    ),
    (
        "views",
        M,
        "shares exchanged",
        function(
            "mix(a, b, lam)", "lam = lam.reshape(-1, 1, 1, 1)", "return (1 - lam) * a + lam * b"
        ),
        ["mix_test"],
    ),
    (
        "patches",
        P,
        "softmax over the wrong axis",
        function(
            "probabilities(z, temperature=0.1)",
            "t = torch.as_tensor(temperature).reshape(-1, 1)",
            "logits = (z @ z.detach().T / t).masked_fill(torch.eye(len(z), "
            "dtype=torch.bool), -torch.inf)",
            "return logits.softmax(0)",
        ),
        ["probabilities_test"],
    ),
    (
        "patches",
        P,
        "forgot stop-gradient",
        function(
            "probabilities(z, temperature=0.1)",
            "t = torch.as_tensor(temperature).reshape(-1, 1)",
            "logits = (z @ z.T / t).masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf)",
            "return logits.softmax(1)",
        ),
        ["probabilities_test"],
    ),
    (
        "patches",
        P,
        "chooses itself",
        function(
            "probabilities(z, temperature=0.1)",
            "return (z @ z.detach().T / torch.as_tensor(temperature).reshape(-1, 1)).softmax(1)",
        ),
        ["probabilities_test", "patch_loss_test"],
    ),
    (
        "patches",
        P,
        "multiplied by the temperature",
        function(
            "probabilities(z, temperature=0.1)",
            "t = torch.as_tensor(temperature).reshape(-1, 1)",
            "logits = (z @ z.detach().T * t).masked_fill(torch.eye(len(z), "
            "dtype=torch.bool), -torch.inf)",
            "return logits.softmax(1)",
        ),
        ["probabilities_test", "patch_loss_test"],
    ),
    (
        "patches",
        P,
        "overflows",
        function(
            "probabilities(z, temperature=0.1)",
            "t = torch.as_tensor(temperature).reshape(-1, 1)",
            "e = torch.exp(z @ z.detach().T / t) * (1 - torch.eye(len(z)))",
            "return e / e.sum(1, keepdim=True)",
        ),
        ["probabilities_test"],
    ),
    (
        "patches",
        L,
        "positives left among negatives",
        function(
            "patch_loss(anchors, positives, temperature=0.1, weight=1.0)",
            "z = torch.cat([anchors, positives])",
            "p = probabilities(z, temperature)",
            "i = torch.arange(len(z))",
            "j = i.roll(len(anchors))",
            "return -(p[i, j].log() + weight * torch.log1p(-p.clamp(max=1 - 1e-6)).sum(1)).mean()",
        ),
        ["patch_loss_test"],
    ),
    (
        "patches",
        L,
        "no negatives",
        function(
            "patch_loss(anchors, positives, temperature=0.1, weight=1.0)",
            "p = probabilities(torch.cat([anchors, positives]), temperature)",
            "i = torch.arange(len(p))",
            "return -p[i, i.roll(len(anchors))].log().mean()",
        ),
        ["patch_loss_test"],
    ),
    (
        "patches",
        L,
        "sum instead of mean",
        function(
            "patch_loss(anchors, positives, temperature=0.1, weight=1.0)",
            "p = probabilities(torch.cat([anchors, positives]), temperature)",
            "i = torch.arange(len(p))",
            "j = i.roll(len(anchors))",
            "n = torch.log1p(-p.clamp(max=1 - 1e-6))",
            "return -(p[i, j].log() + weight * (n.sum(1) - n[i, j])).sum()",
        ),
        ["patch_loss_test"],
    ),
    (
        "patches",
        L,
        "the neighbour is the partner",
        function(
            "patch_loss(anchors, positives, temperature=0.1, weight=1.0)",
            "p = probabilities(torch.cat([anchors, positives]), temperature)",
            "i = torch.arange(len(p))",
            "j = i.roll(1)",
            "n = torch.log1p(-p.clamp(max=1 - 1e-6))",
            "return -(p[i, j].log() + weight * (n.sum(1) - n[i, j])).mean()",
        ),
        ["patch_loss_test"],
    ),
    (
        "patches",
        X,
        "no normalisation after averaging",
        function(
            "mixup_target(z_a, z_b, lam)",
            "lam = lam.reshape(-1, 1, 1, 1)",
            "return (lam * z_a + (1 - lam) * z_b).detach()",
        ),
        ["mixup_target_test"],
    ),
    (
        "patches",
        X,
        "forgot stop-gradient of the target",
        function(
            "mixup_target(z_a, z_b, lam)",
            "lam = lam.reshape(-1, 1, 1, 1)",
            "return F.normalize(lam * z_a + (1 - lam) * z_b, dim=1)",
        ),
        ["mixup_target_test"],
    ),
    (
        "regions",
        R,
        "no normalisation",
        function(
            "region_vectors(v, a, inside)",
            "return torch.einsum('ndhw,nkhw->nkd', v, a * inside[:, None]) / v[0, 0].numel()",
        ),
        ["region_vectors_test"],
    ),
    (
        "regions",
        R,
        "normalised over clusters",
        function(
            "region_vectors(v, a, inside)",
            "return F.normalize(torch.einsum('ndhw,nkhw->nkd', v, a * inside[:, None]), dim=1)",
        ),
        ["region_vectors_test"],
    ),
    (
        "regions",
        R,
        "hard clusters",
        function(
            "region_vectors(v, a, inside)",
            "a = F.one_hot(a.argmax(1), a.shape[1]).permute(0, 3, 1, 2).float()",
            "return F.normalize(torch.einsum('ndhw,nkhw->nkd', v, a * inside[:, None]), dim=2)",
        ),
        ["region_vectors_test"],
    ),
    (
        "regions",
        D,
        "softmax over images",
        function(
            "region_loss(r, areas, temperature=0.2)",
            "c = F.normalize((areas[..., None] * r).sum(0), dim=1)",
            "return -(r @ c.T / temperature).log_softmax(0).diagonal(dim1=1, dim2=2).mean()",
        ),
        ["region_loss_test"],
    ),
    (
        "regions",
        D,
        "prototypes not normalised",
        function(
            "region_loss(r, areas, temperature=0.2)",
            "c = (areas[..., None] * r).sum(0) / areas.sum(0)[:, None]",
            "return -(r @ c.T / temperature).log_softmax(2).diagonal(dim1=1, dim2=2).mean()",
        ),
        ["region_loss_test"],
    ),
    (
        "regions",
        D,
        "prototypes detached",
        function(
            "region_loss(r, areas, temperature=0.2)",
            "c = F.normalize((areas[..., None] * r).sum(0), dim=1).detach()",
            "return -(r @ c.T / temperature).log_softmax(2).diagonal(dim1=1, dim2=2).mean()",
        ),
        ["region_loss_test"],
    ),
    (
        "regions",
        D,
        "temperature forgotten",
        function(
            "region_loss(r, areas, temperature=0.2)",
            "c = F.normalize((areas[..., None] * r).sum(0), dim=1)",
            "return -(r @ c.T).log_softmax(2).diagonal(dim1=1, dim2=2).mean()",
        ),
        ["region_loss_test"],
    ),
    (
        "regions",
        A,
        "area ignored",
        function("area_loss(a, wanted)", "return (a.sum(1) - 1).abs().mean()"),
        ["area_loss_test"],
    ),
    (
        "regions",
        A,
        "areas of all images together",
        function("area_loss(a, wanted)", "return ((a.mean((0, 2, 3)) - wanted) ** 2).mean()"),
        ["area_loss_test"],
    ),
    (
        "priors",
        "dice",
        "intersection over union",
        function("dice(a, b)", "return (a & b).sum() / max(1, (a | b).sum())"),
        ["dice_test"],
    ),
    (
        "priors",
        "dice",
        "divides by zero",
        function("dice(a, b)", "return 2 * (a & b).sum() / (a.sum() + b.sum())"),
        ["dice_test"],
    ),
    (
        "priors",
        "soften",
        "binary again",
        function(
            "soften(mask, sigma=1.0)",
            "return (ndimage.gaussian_filter(mask.astype(float), sigma) > 0.2).astype(float)",
        ),
        ["soften_test"],
    ),
    (
        "priors",
        "soften",
        "not scaled",
        function(
            "soften(mask, sigma=1.0)", "return ndimage.gaussian_filter(mask.astype(float), sigma)"
        ),
        ["soften_test"],
    ),
    (
        "priors",
        "render",
        "bright vessels",
        function(
            "render(background, soft, inside, strength=0.4)",
            "return (background * (1 + strength * soft[..., None]) * inside[..., None]).clip(0, 1)",
        ),
        ["render_test"],
    ),
    (
        "priors",
        "render",
        "subtracted",
        function(
            "render(background, soft, inside, strength=0.4)",
            "return (background - strength * soft[..., None]) * inside[..., None]",
        ),
        ["render_test"],
    ),
    (
        "priors",
        "render",
        "field of view forgotten",
        function(
            "render(background, soft, inside, strength=0.4)",
            "return background * (1 - strength) ** soft[..., None]",
        ),
        ["render_test"],
    ),
    (
        "priors",
        "by_prototype",
        "softmax over pixels",
        function(
            "by_prototype(v, r, areas, temperature=0.2)",
            "s = torch.einsum('kd,dhw->khw', r, v) / temperature + areas.log()[:, None, None]",
            "return s.flatten(1).softmax(1)[0].reshape(s.shape[1:])",
        ),
        ["by_prototype_test"],
    ),
    (
        "priors",
        "by_prototype",
        "temperature forgotten",
        function(
            "by_prototype(v, r, areas, temperature=0.2)",
            "return (torch.einsum('kd,dhw->khw', r, v) + areas.log()[:, None, None]).softmax(0)[0]",
        ),
        ["by_prototype_test"],
    ),
    (
        "training",
        "top_1",
        "similarity instead of hits",
        function("top_1(first, second)", "return (first * second).sum(1).mean()"),
        ["top_1_test"],
    ),
    (
        "training",
        "top_1",
        "counts instead of a share",
        function(
            "top_1(first, second)",
            "return (first @ second.T).argmax(1).eq(torch.arange(len(first))).sum()",
        ),
        ["top_1_test"],
    ),
    (
        "training",
        "trailing_mean",
        "looks ahead",
        function(
            "trailing_mean(losses, window)",
            "x, h = np.asarray(losses), window // 2",
            "return np.array([x[max(0, i - h):i + h + 1].mean() for i in range(len(x))])",
        ),
        ["trailing_mean_test"],
    ),
    (
        "training",
        "trailing_mean",
        "shorter than the losses",
        function(
            "trailing_mean(losses, window)",
            "return np.convolve(losses, np.ones(window) / window, 'valid')",
        ),
        ["trailing_mean_test"],
    ),
    (
        "training",
        "learn",
        "gradients are never set to zero",
        function(
            "learn(start, images, steps, rate=1e-3)",
            "net, losses = begin(start), []",
            "optimiser = torch.optim.Adam(net.parameters(), lr=rate)",
            "for step in range(steps):",
            "    loss = patch_discrimination(*vectors(net, two_views(images, step)))",
            "    loss.backward()",
            "    optimiser.step()",
            "    losses.append(float(loss.detach()))",
            "return losses, net.state_dict()",
        ),
        ["learn_test"],
    ),
    (
        "training",
        "learn",
        "never steps",
        function(
            "learn(start, images, steps, rate=1e-3)",
            "net = begin(start)",
            "losses = [patch_discrimination(*vectors(net, two_views(images, i))).item() "
            "for i in range(steps)]",
            "return losses, dict(net.named_parameters()) | net.state_dict()",
        ),
        ["learn_test"],
    ),
    (
        "training",
        "diagnose",
        "in the order of the question",
        function(
            "diagnose()",
            "return dict(zip('ABCDE', ['healthy', 'collapse', 'rate too high', 'rate too low', "
            "'wrong partners']))",
        ),
        ["diagnose_test"],
    ),
    (
        "experiment",
        "leaked",
        "the other way round",
        function(
            "leaked(train_patients, test_patients)",
            "return np.isin(train_patients, test_patients)",
        ),
        ["leaked_test"],
    ),
    (
        "experiment",
        "leaked",
        "how many",
        function(
            "leaked(train_patients, test_patients)",
            "return np.isin(test_patients, train_patients).sum()",
        ),
        ["leaked_test"],
    ),
    (
        "experiment",
        "interval",
        "draws images",
        function(
            "interval(better, worse, patients, draws=2000)",
            "gaps = np.asarray(better) - np.asarray(worse)",
            "drawn = np.random.default_rng(0).integers(0, len(gaps), (draws, len(gaps)))",
            "return gaps.mean(), *np.quantile(gaps[drawn].mean(1), (0.025, 0.975))",
        ),
        ["interval_test"],
    ),
    (
        "experiment",
        "interval",
        "means of patients, whatever their number of images",
        function(
            "interval(better, worse, patients, draws=2000)",
            "gaps = np.asarray(better) - np.asarray(worse)",
            "means = np.array([gaps[patients == one].mean() for one in np.unique(patients)])",
            "drawn = np.random.default_rng(0).integers(0, len(means), (draws, len(means)))",
            "return gaps.mean(), *np.quantile(means[drawn].mean(1), (0.025, 0.975))",
        ),
        ["interval_test"],
    ),
    (
        "experiment",
        "interval",
        "the interval of single draws",
        function(
            "interval(better, worse, patients, draws=2000)",
            "gaps = np.asarray(better) - np.asarray(worse)",
            "return gaps.mean(), *np.quantile(gaps, (0.025, 0.975))",
        ),
        ["interval_test"],
    ),
    (
        "experiment",
        "images_needed",
        "rounded down",
        function(
            "images_needed(spread, half_width)", "return int((1.96 * spread / half_width) ** 2)"
        ),
        ["images_needed_test"],
    ),
    (
        "project",
        "segment",
        "nothing found",
        function(
            "segment(image, label, inside, others)", "return np.zeros(others.shape[:3], bool)"
        ),
        ["segment_runs", "segment_half", "segment_more", "segment_well"],
    ),
    (
        "project",
        "segment",
        "everything found",
        function("segment(image, label, inside, others)", "return np.ones(others.shape[:3], bool)"),
        ["segment_runs", "segment_half", "segment_more", "segment_well"],
    ),
    (
        "project",
        "segment",
        "the darkest pixels, as the setup has them",
        function("segment(image, label, inside, others)", "return darkest(others)"),
        ["segment_runs", "segment_half", "segment_more", "segment_well"],
    ),
    (
        "project",
        "segment",
        "colours of single pixels",
        "from sklearn.linear_model import LogisticRegression\n"
        + function(
            "segment(image, label, inside, others)",
            "model = LogisticRegression(max_iter=500).fit(image[inside] / 255, label[inside])",
            "sure = model.predict_proba(others.reshape(-1, 3) / 255)[:, 1]",
            "return (sure.reshape(others.shape[:3]) > 0.2) & others.any(-1)",
        ),
        ["segment_half", "segment_more", "segment_well"],
    ),
    (
        "project",
        "segment",
        "probabilities instead of a mask",
        function("segment(image, label, inside, others)", "return others.mean(-1) / 255"),
        ["segment_runs", "segment_half", "segment_more", "segment_well"],
    ),
]

RIGHT = [
    (
        "views",
        G,
        "a loop over cells",
        function(
            "patch_grid(v, inside, grid)",
            "s, v = v.shape[-1] // grid, torch.where(inside[:, None], v, 0)",
            "rows = [torch.stack([v[:, :, i * s:(i + 1) * s, j * s:(j + 1) * s].sum((2, 3)) for "
            "j in range(grid)], -1) for i in range(grid)]",
            "z = torch.stack(rows, 2)",
            "return z / z.norm(dim=1, keepdim=True).clamp(min=1e-9)",
        ),
    ),
    (
        "views",
        T,
        "turned on",
        function(
            "turn_back(z, quarter_turns, mirrored)",
            "z = torch.flip(z, (2,)) if mirrored else z",
            "for _ in range((4 - quarter_turns) % 4):",
            "    z = z.transpose(2, 3).flip(2)",
            "return z",
        ),
    ),
    (
        "views",
        M,
        "einsum",
        function(
            "mix(a, b, lam)",
            "return torch.einsum('b,bchw->bchw', lam, a) + torch.einsum('b,bchw->bchw', 1 - lam, "
            "b)",
        ),
    ),
    (
        "patches",
        P,
        "exponentials in double precision",
        function(
            "probabilities(z, temperature=0.1)",
            "s = z.double() @ z.detach().double().T",
            "s = s / (temperature[:, None] if torch.is_tensor(temperature) else temperature)",
            "s = s - torch.diag(torch.full((len(z),), torch.inf))",
            "return torch.exp(s - s.max(1, keepdim=True).values.detach()) / torch.exp(s - "
            "s.max(1, keepdim=True).values.detach()).sum(1, keepdim=True)",
        ),
    ),
    (
        "patches",
        L,
        "a mask of negatives",
        function(
            "patch_loss(anchors, positives, temperature=0.1, weight=1.0)",
            "n = len(anchors)",
            "p = probabilities(torch.cat([anchors, positives]), temperature)",
            "positive = torch.eye(2 * n, dtype=torch.bool).roll(n, 1)",
            "negative = ~positive & ~torch.eye(2 * n, dtype=torch.bool)",
            "near = -torch.log(p[positive] + 1e-30).sum()",
            "far = -torch.log(1 - p[negative].clamp(max=1 - 1e-6)).sum()",
            "return (near + weight * far) / (2 * n)",
        ),
    ),
    (
        "patches",
        X,
        "no_grad and its own length",
        function(
            "mixup_target(z_a, z_b, lam)",
            "with torch.no_grad():",
            "    t = z_a * lam.view(-1, 1, 1, 1) + z_b * (1 - lam).view(-1, 1, 1, 1)",
            "    return t / t.pow(2).sum(1, keepdim=True).sqrt()",
        ),
    ),
    (
        "regions",
        R,
        "loops in double precision",
        function(
            "region_vectors(v, a, inside)",
            "v, a = v.double(), torch.where(inside[:, None], a.double(), 0)",
            "r = torch.stack([torch.stack([(v[n] * a[n, k]).mean((1, 2)) for k in "
            "range(a.shape[1])]) for n in range(len(v))])",
            "return r / r.norm(dim=2, keepdim=True)",
        ),
    ),
    (
        "regions",
        D,
        "cross-entropy",
        function(
            "region_loss(r, areas, temperature=0.2)",
            "n, k, d = r.shape",
            "c = F.normalize(torch.einsum('nk,nkd->kd', areas, r), dim=1)",
            "return F.cross_entropy((r @ c.T / temperature).reshape(n * k, k), "
            "torch.arange(k).repeat(n))",
        ),
    ),
    (
        "regions",
        A,
        "numpy-like",
        function(
            "area_loss(a, wanted)",
            "areas = a.flatten(2).mean(2)",
            "return torch.pow(areas - wanted.expand_as(areas), 2).sum() / areas.numel()",
        ),
    ),
    (
        "priors",
        "dice",
        "on integers",
        function(
            "dice(a, b)",
            "a, b = a.astype(int).ravel(), b.astype(int).ravel()",
            "return 1.0 if a.sum() + b.sum() == 0 else 2.0 * (a * b).sum() / (a.sum() + b.sum())",
        ),
    ),
    (
        "priors",
        "render",
        "where",
        function(
            "render(background, soft, inside, strength=0.4)",
            "drawn = background * np.exp(np.log(1 - strength) * np.repeat(soft[:, :, None], 3, 2))",
            "return np.where(inside[:, :, None], drawn, 0)",
        ),
    ),
    (
        "priors",
        "by_prototype",
        "a matrix product",
        function(
            "by_prototype(v, r, areas, temperature=0.2)",
            "d, h, w = v.shape",
            "s = torch.exp(r.double() @ v.reshape(d, -1).double() / temperature)",
            "s = s * areas[:, None]",
            "return (s[0] / s.sum(0)).reshape(h, w)",
        ),
    ),
    (
        "training",
        "learn",
        "a list at the end, weights as copies",
        function(
            "learn(start, images, steps, rate=1e-3)",
            "net = begin(start)",
            "optimiser, losses = torch.optim.Adam(net.parameters(), rate), torch.zeros(steps)",
            "for step, _ in enumerate(range(steps)):",
            "    a, b = vectors(net, two_views(images, step))",
            "    loss = patch_discrimination(a, b)",
            "    net.zero_grad(set_to_none=True)",
            "    loss.backward()",
            "    optimiser.step()",
            "    losses[step] = loss.detach()",
            "return losses.tolist(), {k: v.detach().clone() for k, v in net.state_dict().items()}",
        ),
    ),
    (
        "training",
        "trailing_mean",
        "sums",
        function(
            "trailing_mean(losses, window)",
            "out = []",
            "for i in range(len(losses)):",
            "    part = list(losses)[:i + 1][-window:]",
            "    out.append(sum(part) / len(part))",
            "return out",
        ),
    ),
    (
        "experiment",
        "interval",
        "a loop of concatenations",
        function(
            "interval(better, worse, patients, draws=2000)",
            "import random",
            "random.seed(3)",
            "gaps, known = np.asarray(better) - worse, sorted(set(patients.tolist()))",
            "parts = {one: gaps[patients == one] for one in known}",
            "means = [np.concatenate([parts[one] for one in random.choices(known, "
            "k=len(known))]).mean() for _ in range(draws)]",
            "return np.array([gaps.mean(), *np.percentile(means, [2.5, 97.5])])",
        ),
    ),
    (
        "project",
        "segment",
        "ridges in even light, no label",
        "from skimage.filters import frangi\n"
        + function(
            "segment(image, label, inside, others)",
            "masks = []",
            "for one in others:",
            "    field = one.any(-1)",
            "    green = one[..., 1] * field.astype(float)",
            "    light = ndimage.gaussian_filter(green, 8)",
            "    light = light / (ndimage.gaussian_filter(field.astype(float), 8) + 1e-6)",
            "    ratio = ((green + 4) / (light + 4) - 1) * field",
            "    ratio = ndimage.gaussian_filter(ratio / ratio[field].std(), 0.5)",
            "    ridge = frangi(ratio, sigmas=(1, 1.5, 2), black_ridges=True)",
            "    masks.append(field & (ridge >= np.quantile(ridge[field], 0.8)))",
            "return np.stack(masks)",
        ),
    ),
]
