def labelled_images(task: Task, prepared: Prepared, n_labels: int, seed: int) -> np.ndarray:
    """Which training images are labelled: a random draw from those that do not validate and show the structure.

    Args:
        task: What is segmented.
        prepared: All training images; the first fifth is kept for validation.
        n_labels: Number of labelled images; 0 takes all.
        seed: Of the draw.

    Returns:
        Indices, sorted.

    Raises:
        DataError: No masks of the structure, only empty ones, or fewer than asked for.

    Source: the released comparison validates on the first fifth of the list. Taught in notebook 05, section 1.
    """
    if task.structure not in prepared.masks:
        raise DataError(f"{task.dataset} has no masks of {task.structure} in its training split")
    rest = np.arange(-(-len(prepared) // 5), len(prepared))
    shown = np.array([i for i in rest if prepared.masks[task.structure][i].any()], int)
    if len(shown) < max(1, n_labels):
        raise DataError(
            f"{n_labels or 'at least 1'} labelled images of {task.dataset} are asked for and {len(shown)} of {len(rest)} training "
            f"images have a mask of {task.structure} that is not empty (a fifth is kept for validation)"
        )
    return shown if n_labels == 0 else np.sort(np.random.default_rng([seed, n_labels]).choice(shown, n_labels, replace=False))
