"""`compare_runs`: comparison of run folders, with a warning if a model from scratch is not clearly the smaller one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from slugline.evaluation.compare import Comparison, compare
from slugline.run.run import Run

logger = logging.getLogger(__name__)

#: A model from scratch is clearly smaller with at most this share of the parameters of a pre-trained model.
CLEARLY_SMALLER = 0.5


def compare_runs(paths: Sequence[Path], *, split: str = "test") -> Comparison:
    """Compare runs by the predictions in their folders.

    Args:
        paths: folders of two or more runs that were scored on the same rows.
        split: split of the predictions to compare.

    Returns:
        Intervals and paired tests.

    Raises:
        RunError: a folder is not a run, or was not scored on the split.
        DataError: the runs were not scored on the same rows.
    """
    names = [path.name for path in paths]
    unique = len(set(names)) == len(names)
    runs = {path.name if unique else str(path): Run(path) for path in paths}
    warn_of_sizes(runs)
    return compare({name: run.predictions(split) for name, run in runs.items()})


def warn_of_sizes(runs: Mapping[str, Run]) -> None:
    """Log a warning for each model from scratch that is not clearly smaller than the smallest pre-trained model.

    Args:
        runs: runs to compare, by name; incomplete runs are ignored.
    """
    complete = {name: run for name, run in runs.items() if run.state == "complete"}
    sizes = {name: run.metrics["size"]["parameters"] for name, run in complete.items()}
    kinds = {name: run.recipe.model.capabilities for name, run in complete.items()}
    pretrained = [name for name, kind in kinds.items() if kind.is_pretrained]
    if not pretrained:
        return
    smallest = min(pretrained, key=lambda name: sizes[name])
    for name in (name for name, kind in kinds.items() if kind.is_from_scratch):
        if sizes[name] > CLEARLY_SMALLER * sizes[smallest]:
            logger.warning(
                "%s, trained from scratch, has %s parameters, which is not clearly fewer than the %s of %s.",
                name,
                f"{sizes[name]:,}",
                f"{sizes[smallest]:,}",
                smallest,
            )
