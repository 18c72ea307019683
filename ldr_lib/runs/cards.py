"""The head of a weights' card: what a model hub reads."""

import yaml


def card_head(name: str, datasets: list, metrics: dict[str, float]) -> str:
    """YAML between two lines of dashes.

    Args:
        name: Of the weights.
        datasets: What was trained on, adapters of datasets or others with a title and terms; these
            are the terms of the weights.
        metrics: Name to value of what was measured.
    """
    about = {
        "license": "other",
        "license_name": "terms of the training images",
        "license_details": {kind.title: kind.terms for kind in datasets},
        "library_name": "ldr_lib",
        "model_name": name,
        "datasets": [kind.title for kind in datasets],
        "metrics": {key: round(value, 3) for key, value in metrics.items()},
    }
    return (
        "---\n" + yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=1000) + "---\n"
    )
