"""`Classifier`: texts in, class names and probabilities out, with scikit-learn's manners; and `load`, which finds one.

What differs between the kinds is how texts become logits: a `Predictor`. Cleaning, calibration and names are the same for
all and live here. Importing this module needs neither torch nor transformers; loading a transformer does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slugline.core.errors import ModelError
from slugline.core.hardware import choose_precision, choose_profile, detect
from slugline.core.labels import Calibration, LabelSet, probabilities
from slugline.core.layouts import CheckpointLayout, ModelLayout, RunLayout
from slugline.data.preparing.checks import clean
from slugline.inference.ensemble import EnsemblePredictor
from slugline.inference.predictor import Predictor
from slugline.run.run import Run

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from slugline.inference.linear import LinearPredictor
    from slugline.recipe.recipe import Recipe


#: Texts in a forward pass of a model that others trained, whose recipe is not known.
DEFAULT_MAX_PIECES = 64


@dataclass(frozen=True)
class Classifier:
    """A trained model, ready to be asked.

    Args:
        labels: the K classes.
        predictor: texts to logits.
        calibration: makes probabilities honest; None = as the model says.
        cleaning: steps that the recipe applied to its texts.
        text_columns: columns that the recipe joined into one text; empty = unknown.
        name: of the run, or of the folder.
    """

    labels: LabelSet
    predictor: Predictor
    calibration: Calibration | None = None
    cleaning: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    name: str = ""

    @property
    def classes_(self) -> NDArray[np.str_]:
        """(K,) class names, in the order of the columns of `predict_proba`."""
        return np.array(self.labels.names)

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """What the model says, before calibration.

        Args:
            texts: any number, read as they are needed; cleaned here as the recipe did.

        Yields:
            (b, K) for the next b texts, in order.
        """
        yield from self.predictor.logits(clean(text, self.cleaning) for text in texts)

    def probabilities(self, texts: Iterable[str]) -> Iterator[NDArray[np.float64]]:
        """As `predict_proba`, a window at a time and in constant memory.

        Args:
            texts: any number, read as they are needed.

        Yields:
            (b, K) for the next b texts, in order.
        """
        temperature = self.calibration.temperature if self.calibration else 1.0
        for logits in self.logits(texts):
            yield probabilities(logits, kind=self.labels.kind, temperature=temperature)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probability of each class.

        Args:
            texts: N texts.

        Returns:
            (N, K), columns as in `classes_`.
        """
        windows = list(self.probabilities(_texts(texts)))
        return np.concatenate(windows) if windows else np.zeros((0, len(self.labels)))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Most probable class of each text, by name.

        Args:
            texts: N texts.

        Returns:
            N names.
        """
        return self.labels.decode(self.predict_proba(texts).argmax(axis=1).tolist())


def load(path: str | Path, *, precision: str = "auto", device: str = "auto") -> Classifier:
    """A classifier from whatever holds one.

    Args:
        path: a run, whose folds answer as one; its ``model`` folder or one of its checkpoints; a folder that
            ``AutoModelForSequenceClassification`` loads; or the Hub name of such a model.
        precision: of the matrix products: ``fp32``, ``bf16``, ``fp16``, or ``auto``, the one that the hardware has
            natively.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto``, the fastest that is there.

    Returns:
        The classifier.

    Raises:
        RecipeError: there is no such device.
        ModelError: nothing there can be loaded, it has no tokenizer, or no classification head.
        RunError: the run has no model yet.
    """
    folder = Path(path)
    is_run = RunLayout(folder).is_run()
    owner = Run(folder) if is_run else run_of(folder)
    if owner is None:
        return _load_without_run(str(path), precision, device)
    _require_head(owner)
    return _load_run(owner, owner.model_dirs if is_run else [folder], precision, device)


def run_of(folder: Path) -> Run | None:
    """The run that a model folder or a checkpoint belongs to."""
    for parent in (folder.parent, folder.parent.parent):
        layout = RunLayout(parent)
        if layout.is_run() and folder.parent in (layout.root, layout.checkpoints):
            return Run(parent)
    return None


def _require_head(run: Run) -> None:
    if run.recipe.pretrain:
        raise ModelError(
            f"{run.path} was pre-trained: its model is a backbone without a classification head.",
            hint=f"Fine-tune it first: slugline train RECIPE model.base={run.layout.model}",
        )


def _load_run(run: Run, folders: Sequence[Path], precision: str, device: str) -> Classifier:
    """A run's model, or the ensemble of several."""
    recipe = run.recipe
    facts = {
        "calibration": run.calibration,
        "cleaning": tuple(recipe.data.clean),
        "text_columns": tuple(run.manifest.get("data", {}).get("text", recipe.data.text)),
        "name": recipe.name,
    }
    loaded = [_load_folder(folder, recipe, precision, device) for folder in folders]
    labels, predictor = loaded[0]
    if len(loaded) > 1:
        predictor = EnsemblePredictor([predictor for _, predictor in loaded], recipe.train.ensemble)
    return Classifier(labels, predictor, **facts)  # type: ignore[arg-type]


def _load_folder(folder: Path, recipe: Recipe, precision: str, device: str) -> tuple[LabelSet, Predictor]:
    if ModelLayout(folder).linear.is_file():
        linear = _load_linear(folder)
        return linear.labels, linear
    return _load_transformer(str(folder), recipe, precision, device)


def _load_linear(folder: Path) -> LinearPredictor:
    from slugline.inference.linear import LinearPredictor

    return LinearPredictor.load(folder)


def _load_without_run(place: str, precision: str, device: str) -> Classifier:
    """A classifier that others trained: no recipe, no calibration, its own configuration is all there is."""
    folder = Path(place)
    if ModelLayout(folder).linear.is_file():
        linear = _load_linear(folder)
        return Classifier(linear.labels, linear, name=folder.name)
    if folder.exists() and not ModelLayout(folder).config.is_file():
        raise ModelError(
            f"{place} is neither a run nor a model folder: it has no config.json.",
            hint="Give a run folder, its model folder, a checkpoint, or a Hugging Face classifier.",
        )
    architecture = _architecture(place)
    if "ForSequenceClassification" not in architecture:
        raise ModelError(
            f"{place} is a {architecture or 'model'} without a classification head.",
            hint="Fine-tune it first: slugline train RECIPE model.base=" + place,
        )
    labels, predictor = _load_transformer(place, None, precision, device)
    return Classifier(labels, predictor, name=folder.name)


def _architecture(place: str) -> str:
    """What a folder's or a Hub model's configuration says that its weights are; a fresh head would answer at random."""
    from slugline.models.pretrained import load_config

    path = ModelLayout(Path(place)).config
    if not path.is_file():
        return " ".join(load_config(place).architectures or [])
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}.", hint="Copy it from the base model again.") from error
    return " ".join(config.get("architectures") or [])


def _load_transformer(place: str, recipe: Recipe | None, precision: str, device: str) -> tuple[LabelSet, Predictor]:
    from slugline.data.batching.tokens import Truncation, truncation_of
    from slugline.models.build import set_pad_token
    from slugline.models.forward import TransformerPredictor, cast_linear_weights
    from slugline.models.pretrained import load_config, longest_input
    from slugline.models.tokenizers import load_tokenizer

    hardware = detect(device)
    profile = choose_profile(hardware)
    chosen = choose_precision(hardware, precision, autocast=profile.autocast).precision
    tokenizer, config = load_tokenizer(place), load_config(place)
    model = _model_in(place, config, recipe)
    set_pad_token(model, tokenizer)
    model.to(hardware.device).eval()  # type: ignore[arg-type]
    cast_linear_weights(model, chosen)
    names = tuple(str(name) for _, name in sorted((config.id2label or {}).items()))
    if config.problem_type == "multi_label_classification" or len(names) < 2:
        raise ModelError(
            f"{place} does not choose one label of several, and this version asks only models that do.",
            hint="Give a single-label classifier.",
        )
    longest = longest_input(config, tokenizer)
    predictor = TransformerPredictor(
        model,
        tokenizer,
        truncation=truncation_of(recipe.data, longest) if recipe else Truncation(longest),
        precision=chosen,
        rows=recipe.train.eval_batch_size if recipe else DEFAULT_MAX_PIECES,
        budget=profile.micro_batch_tokens,
    )
    return LabelSet(names), predictor


def _model_in(place: str, config: PretrainedConfig, recipe: Recipe | None) -> PreTrainedModel:
    """The model in a folder or under a Hub name, in float32."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from slugline.models.adaptation.adapt import adapt
    from slugline.models.pretrained import from_pretrained
    from slugline.models.saving import load_evaluated_weights

    checkpoint = CheckpointLayout(Path(place))
    if recipe and recipe.model.adapt == "lora" and checkpoint.seal.is_file():
        # What is learnt beside the weights is not merged before training ends.
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
        adapted = adapt(model, recipe.model)
        load_evaluated_weights(model, checkpoint)
        return adapted.merged()
    model = from_pretrained(AutoModelForSequenceClassification.from_pretrained, place, dtype=torch.float32)
    if checkpoint.averaged.is_file():
        load_evaluated_weights(model, checkpoint)
    return model


def _texts(texts: Sequence[str]) -> Sequence[str]:
    """Catch the usual slip: a single string would be read letter by letter."""
    if isinstance(texts, str):
        raise TypeError("give a list of texts, not a single string: predict([text])")
    return texts
