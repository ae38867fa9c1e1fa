"""`Condition`: when a step of a study is trained, such as ``baseline.validation.accuracy < 0.93``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slugline.core.errors import RecipeError
from slugline.run.bounds import Bound
from slugline.run.figures import MissingFigure, figure
from slugline.run.run import Run

#: Splits that a step must not depend on: test must choose nothing, and the model knows the rows of train.
REFUSED_SPLITS = ("test", "train")

_CONDITION = re.compile(r"\s*(?P<step>[^.\s]+)\.(?P<path>[^<>=!]+?)\s*(?P<bound>[<>=!].*)")


@dataclass(frozen=True)
class Condition:
    """A bound of a figure of the best member of an earlier step, as validation chooses it.

    Args:
        step: name of the step.
        path: path of the figure, see `slugline.run.figures`.
        bound: the bound.
    """

    step: str
    path: str
    bound: Bound

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition.

        Args:
            text: step, path, operator and value.

        Returns:
            The condition.

        Raises:
            RecipeError: the text is no condition, or is about test.
        """
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise RecipeError(
                f"{text!r} is no condition.", hint="Write step.path operator value: baseline.validation.accuracy < 0.93"
            )
        first = match["path"].split(".")[0]
        if first in REFUSED_SPLITS:
            raise RecipeError(f"{text!r} is about {first}, which chooses nothing.", hint="Use validation.")
        return cls(match["step"], match["path"], Bound.parse(match["bound"], where=text))

    def is_met(self, best: Run) -> bool:
        """Tell whether the best member of the step is within the bound.

        Args:
            best: its run.

        Returns:
            True if it is.

        Raises:
            RecipeError: the path names no figure of the run.
        """
        try:
            return self.bound.is_met(figure(best, self.path))
        except MissingFigure as error:
            raise RecipeError(f"when: {error.message}", hint="A cross-validation has out_of_fold.") from error
