"""`load`: a classifier from a run, a model folder, a checkpoint, or a Hub name.

Importing this module needs neither torch nor transformers; loading a transformer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.core.layouts import ModelLayout, RunLayout
from slugline.core.memory import memory_errors
from slugline.core.model_folders import require_no_adapter
from slugline.inference.classifier import Classifier
from slugline.inference.classifier_config import ClassifierConfig
from slugline.inference.ensemble import EnsemblePredictor
from slugline.inference.predictor import Predictor
from slugline.recipe.kinds import KINDS, resolve
from slugline.recipe.model_section import ModelSection
from slugline.run.run import Run


@dataclass(frozen=True)
class LoadOptions:
    """Options of loading a model.

    Args:
        config: configuration of the classifier; None for models that were trained elsewhere.
        model: model section of the recipe, for checkpoints of a run; None for complete models.
        precision: precision of the matrix products, or ``auto``.
        device: device that runs the computation, or ``auto``.
    """

    config: ClassifierConfig | None = None
    model: ModelSection | None = None
    precision: str = "auto"
    device: str = "auto"


#: Format of models on the Hub.
HUB_FORMAT = "config.json"


@memory_errors(ModelError, "loading a model")
def load(path: str | Path | Run, *, precision: str = "auto", device: str = "auto") -> Classifier:
    """Load a classifier.

    Args:
        path: a run or its folder (the models of its folds form an ensemble), its ``model`` folder, one of its
            checkpoints, a folder that ``AutoModelForSequenceClassification`` loads, or the Hub name of such a model.
        precision: ``fp32``, ``bf16`` or ``fp16`` for matrix products; ``auto`` = the fastest with native support.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto``, the fastest one that is available.

    Returns:
        The classifier.

    Raises:
        RecipeError: the device is not available.
        ModelError: the path cannot be loaded, the model has no tokenizer or no classification head, or the memory is
            exhausted.
        RunError: the run has no model yet.
    """
    path = path.path if isinstance(path, Run) else path
    folder = Path(path)
    is_run = RunLayout(folder).is_run()
    run = Run(folder) if is_run else run_of(folder)
    if run is not None and not folder.exists():
        raise _missing(run, folder)
    if run is None:
        return _load_model(str(path), precision, device)
    _require_head(run)
    return _load_run(run, run.model_dirs if is_run else [folder], precision, device)


def _load_model(source: str, precision: str, device: str) -> Classifier:
    """A model that belongs to no run: a copy of a run's model folder, or a model that was trained elsewhere."""
    config = ClassifierConfig.read(_file_of(source, ModelLayout(Path(source)).classifier.name))
    labels, predictor = load_folder(source, LoadOptions(config, precision=precision, device=device))
    if config is None:
        return Classifier(labels, predictor, name=Path(source).name)
    config.require_labels(labels, source)
    return replace(_classifier(labels, predictor, config), is_copied=True)


def _missing(run: Run, folder: Path) -> ModelError:
    """The error for a model or checkpoint of a run that does not exist."""
    if folder.parent == run.layout.checkpoints and run.state == "complete":
        return ModelError(
            f"{folder} does not exist: the checkpoints of a complete run are deleted unless train.keep_checkpoints is "
            "set.",
            hint=f"Load {run.path}: its model has the weights of the best checkpoint.",
        )
    return ModelError(f"{folder} does not exist.", hint=f"The run {run.path} is {run.state}.")


def run_of(folder: Path) -> Run | None:
    """Return the run that a model folder or a checkpoint belongs to, or None."""
    for parent in (folder.parent, folder.parent.parent):
        layout = RunLayout(parent)
        if layout.is_run() and folder.parent in (layout.root, layout.checkpoints):
            return Run(parent)
    return None


def load_folder(source: str, options: LoadOptions) -> tuple[LabelSet, Predictor]:
    """Load one model.

    Args:
        source: a model folder, or a Hub name.
        options: options for loading.

    Returns:
        Its label set and predictor.

    Raises:
        ModelError: the folder has no known format, or cannot be loaded.
    """
    folder = Path(source)
    require_no_adapter(folder)
    loaders = {kind.saved_as: kind.load for kind in KINDS.values()}
    files = [name for name in loaders if (folder / name).is_file()]
    if folder.exists() and not files:
        raise ModelError(
            f"{source} is neither a run nor a model folder: it has no config.json.",
            hint="Give a run folder, its model folder, a checkpoint, or a Hugging Face classifier.",
        )
    loader = resolve(loaders[files[0] if files else HUB_FORMAT])
    loaded: tuple[LabelSet, Predictor] = loader(source, options)
    return loaded


def _require_head(run: Run) -> None:
    if run.recipe.pretrain:
        raise ModelError(
            f"{run.path} is a pre-training run: its model is a backbone without a classification head.",
            hint=f"Fine-tune it first: slugline train RECIPE model.base={run.layout.model}",
        )


def _load_run(run: Run, folders: Sequence[Path], precision: str, device: str) -> Classifier:
    """The model of a run, or the ensemble of several."""
    recipe, config = run.recipe, ClassifierConfig.of(run)
    options = LoadOptions(config, recipe.model, precision, device)
    loaded = [load_folder(str(folder), options) for folder in folders]
    labels, predictor = loaded[0]
    if len(loaded) > 1:
        predictor = EnsemblePredictor([member for _, member in loaded], recipe.train.ensemble, labels.kind)
    return replace(_classifier(labels, predictor, config), run_path=run.path)


def _file_of(source: str, name: str) -> Path:
    """Path of a file of a model folder, or of a Hub model, downloaded if necessary; it may not exist."""
    folder = Path(source)
    if folder.is_dir():
        return folder / name
    from slugline.models.pretrained import cached_file

    return Path(cached_file(source, name) or folder / name)


def _classifier(labels: LabelSet, predictor: Predictor, config: ClassifierConfig) -> Classifier:
    return Classifier(
        labels,
        predictor,
        calibration=config.calibration,
        cleaning=config.cleaning,
        text_columns=config.text_columns,
        name=config.name,
    )
