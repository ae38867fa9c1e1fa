"""`ClassifierConfig`: everything besides the model that its predictions depend on.

It is saved in the model folder as ``slugline.json``, so that a copy of the folder predicts as the run does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.core.layouts import ModelLayout
from slugline.core.model_folders import read_json
from slugline.core.predictions import Calibration
from slugline.core.storage import replacing
from slugline.data.batching.truncation import Truncation, truncation_of
from slugline.run.run import Run

#: Version of ``slugline.json``.
FORMAT = 1


@dataclass(frozen=True)
class ClassifierConfig:
    """The reading of texts and the calibration of probabilities by a classifier.

    Args:
        name: name of the run.
        cleaning: cleaning steps.
        text_columns: columns that are joined into one text.
        truncation: division of long texts; its ``max_length`` is that of the recipe, the model may read less.
        batch_size: maximum number of pieces in a forward pass.
        calibration: calibration of the probabilities; None = uncalibrated.
        labels: label set to which the thresholds of the calibration belong; None = not known.
    """

    name: str
    cleaning: tuple[str, ...]
    text_columns: tuple[str, ...]
    truncation: Truncation
    batch_size: int
    calibration: Calibration | None = None
    labels: LabelSet | None = None

    @classmethod
    def of(cls, run: Run, labels: LabelSet | None = None) -> ClassifierConfig:
        """Return the configuration of the classifier of a run.

        Args:
            run: run whose data was loaded.
            labels: label set of its model; None = as the model states it.

        Returns:
            The configuration, with the calibration if it is fitted.
        """
        recipe, data = run.recipe, run.recipe.data
        return cls(
            name=recipe.name,
            cleaning=tuple(data.clean),
            text_columns=tuple(run.manifest.get("data", {}).get("text", data.text)),
            truncation=truncation_of(data),
            batch_size=recipe.train.eval_batch_size,
            calibration=run.calibration,
            labels=labels,
        )

    @classmethod
    def read(cls, path: Path) -> ClassifierConfig | None:
        """Read a configuration.

        Args:
            path: path of ``slugline.json``.

        Returns:
            The configuration; None if there is no such file.

        Raises:
            ModelError: the file is damaged, or was written by a newer version.
        """
        if not path.is_file():
            return None
        values = read_json(path)
        try:
            if values["format"] > FORMAT:
                raise ModelError(
                    f"{path} was written by a newer Slugline.", hint="Upgrade: pip install --upgrade slugline"
                )
            return cls._of_values(values)
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{path} is damaged: {type(error).__name__} {error}.", hint="Copy the model folder again."
            ) from error

    @classmethod
    def _of_values(cls, values: dict[str, Any]) -> ClassifierConfig:
        calibration = values["calibration"]
        return cls(
            name=values["name"],
            cleaning=tuple(values["cleaning"]),
            text_columns=tuple(values["text_columns"]),
            truncation=Truncation(**values["truncation"]),
            batch_size=values["batch_size"],
            calibration=None if calibration is None else Calibration.from_dict(calibration),
            labels=LabelSet.from_dict(values["labels"]) if values.get("labels") else None,
        )

    def write(self, folder: Path) -> None:
        """Write the configuration into a model folder.

        Args:
            folder: existing model folder.

        Raises:
            RunError: the disk is full or not writable.
        """
        with replacing(ModelLayout(folder).classifier) as temporary:
            text = json.dumps({"format": FORMAT, **self._values()}, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def require_labels(self, labels: LabelSet, source: str) -> None:
        """Refuse a model with other classes than the configuration, whose thresholds would apply to the wrong labels.

        Args:
            labels: label set of the model.
            source: path of the model, for the message.

        Raises:
            ModelError: the label sets differ.
        """
        if self.labels is not None and (self.labels.names, self.labels.kind) != (labels.names, labels.kind):
            raise ModelError(
                f"{source}: slugline.json belongs to another model: it has {_described(self.labels)}, the model has "
                f"{_described(labels)}.",
                hint="Copy all files of one model folder.",
            )

    def _values(self) -> dict[str, Any]:
        return asdict(self) | {
            "calibration": self.calibration and self.calibration.to_dict(),
            "labels": self.labels and self.labels.to_dict(),
        }


def _described(labels: LabelSet) -> str:
    return f"{len(labels)} classes of a {labels.kind} label set ({', '.join(labels.names[:3])}...)"
