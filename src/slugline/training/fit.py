"""`fit` trains a classifier, `fit_backbone` pre-trains a backbone; both save the model in the run.

Checks that need no data are made before any data is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from slugline.core.errors import RecipeError, TrainingError
from slugline.core.memory import free_memory, memory_errors
from slugline.data.corpus import Corpus
from slugline.data.dataset import TextDataset
from slugline.evaluation.metrics import metric
from slugline.recipe.data_section import AugmentationName, DataSection
from slugline.recipe.kinds import KINDS, resolve
from slugline.recipe.recipe import Recipe
from slugline.recipe.train_section import Tracker, TrainSection
from slugline.run.run import Run
from slugline.training.loop.arguments import check_arguments
from slugline.training.methods.augmentation import Augmentation, augmented, build_augmentations
from slugline.training.result import FitResult, PretrainResult
from slugline.training.runtime import hardware_for, require_single_process
from slugline.training.tracking.environment import check_trackers, tracking

logger = logging.getLogger(__name__)

#: Type of `Kind.fit`: recipe, data set, run, and the checkpoint to resume from (None = the latest) to the result.
Fit = Callable[[Recipe, TextDataset, Run, Path | None], FitResult]

#: Modules that fine-tune and pre-train; imported only when needed, because they import torch.
FINETUNING = "slugline.training.finetune"
PRETRAINING = "slugline.training.pretrain"

#: Keys of [data] for kinds that read tokens.
LENGTH_KEYS = ("max_length", "long_texts", "stride", "max_windows")

#: Keys of [train] that apply only to classifiers.
CLASS_KEYS = (
    "loss",
    "loss_arguments",
    "class_weights",
    "label_smoothing",
    "logit_adjustment",
    "token_dropout",
    "mixup",
    "cutmix",
    "folds",
)


def check(recipe: Recipe) -> None:
    """Refuse a recipe whose training would fail, before any data is read.

    Args:
        recipe: recipe to execute.

    Raises:
        RecipeError: several processes were started, the recipe is a pre-training, ``train.select_by`` is not a metric,
            the kind does not read a key of [train], ``train.precision`` needs a GPU, or ``[train.arguments]`` has an
            argument that is not accepted.
        MissingExtra: a tracker of ``train.report_to`` is not installed.
    """
    require_single_process()
    if recipe.pretrain:
        raise RecipeError(
            f"{recipe.name}: a recipe with a [pretrain] section is for pre-training.",
            hint="Run it with: slugline pretrain RECIPE; fine-tune with a recipe of its own.",
        )
    metric(recipe.train.select_by)
    _check_train_keys(recipe)
    if recipe.train.loss_arguments:
        from slugline.training.methods.losses import check_loss

        check_loss(recipe.train.loss, recipe.train.loss_arguments)
    _check_precision(recipe)
    check_arguments(recipe.train.arguments)
    check_trackers(_trackers(recipe))


def _check_train_keys(recipe: Recipe) -> None:
    """Refuse keys of [train] that the kind does not read."""
    kind, train = recipe.model.capabilities, recipe.train
    unread = [key for key in TrainSection.model_fields if not kind.reads(key) and _is_set(train, key)]
    if unread:
        names = ", ".join(f"train.{key}" for key in unread)
        raise RecipeError(
            f'{names} would have no effect: model.kind is "{recipe.model.kind}" ({kind.title}).',
            hint=f"Leave it out. The keys of [train] for this kind: {', '.join(kind.train_keys)}.",
        )
    lengths = [key for key in LENGTH_KEYS if getattr(recipe.data, key) != DataSection.model_fields[key].default]
    if lengths and not kind.has_updates:
        logger.warning("data.%s: without effect, because %s reads whole texts.", ", data.".join(lengths), kind.title)
    if recipe.data.sampling.startswith("curriculum") and not kind.has_updates:
        logger.warning(
            "data.sampling: without effect, because the order of the rows does not matter to %s.", kind.title
        )


def _is_set(train: TrainSection, key: str) -> bool:
    """True if a key has another value than its default."""
    return bool(getattr(train, key) != TrainSection.model_fields[key].default)


def check_model(recipe: Recipe) -> None:
    """Refuse a base that cannot be trained with the settings of the recipe, before any data is read.

    Args:
        recipe: recipe to execute.

    Raises:
        ModelError: the base or its tokenizer cannot be loaded, or does not fit the settings.
        TrainingError: the base does not fit into memory.
    """
    with memory_errors(TrainingError, "training"):
        if recipe.model.capabilities.has_updates:
            import_module(FINETUNING).check_base(recipe)
        _augmentations(recipe)


def check_pretraining(recipe: Recipe) -> None:
    """Refuse a recipe whose pre-training would fail, or that has unused keys, before any text is read.

    Args:
        recipe: recipe to execute.

    Raises:
        RecipeError: several processes were started, there is no [pretrain] section, a key has no meaning in
            pre-training, ``train.precision`` needs a GPU, or ``[train.arguments]`` has an argument that is not
            accepted.
        ModelError: the base cannot be pre-trained with these settings.
        MissingExtra: a tracker of ``train.report_to`` is not installed.
        TrainingError: the base does not fit into memory.
    """
    require_single_process()
    model, train = recipe.model, recipe.train
    if not recipe.pretrain:
        raise RecipeError(
            f"{recipe.name}: there is no [pretrain] section.",
            hint="Add one, or train a classifier with: slugline train RECIPE",
        )
    if not model.capabilities.objective:
        possible = " or ".join(f'"{name}"' for name, kind in KINDS.items() if kind.objective)
        raise RecipeError(
            f'model.kind is "{model.kind}", which cannot be pre-trained.', hint=f"Choose model.kind = {possible}."
        )
    if model.adapt != "full":
        raise RecipeError(
            f"model.adapt is {model.adapt!r}, but pre-training changes all weights of the base.",
            hint="Leave it out here; adapt when fine-tuning.",
        )
    if train.select_by != "loss":
        raise RecipeError(
            f"train.select_by is {train.select_by!r}, but pre-training has no classes to score.",
            hint='Leave it out: pre-training selects by "loss".',
        )
    for key in filter(partial(_is_set, train), CLASS_KEYS):
        raise RecipeError(f"train.{key} has no meaning in pre-training.", hint="Leave it out.")
    _check_precision(recipe)
    check_arguments(train.arguments)
    check_trackers(_trackers(recipe))
    with memory_errors(TrainingError, "training"):
        import_module(PRETRAINING).check_base(recipe)


def _check_precision(recipe: Recipe) -> None:
    """Refuse float16 on a CPU, where a training would ignore it."""
    train = recipe.train
    if train.precision == "fp16" and recipe.model.capabilities.has_updates and hardware_for(train).device == "cpu":
        raise RecipeError(
            'train.precision is "fp16", but this training runs on a CPU, which does not train in float16.',
            hint='Choose "auto", "bf16" or "fp32", or a GPU with train.device.',
        )


def fit(recipe: Recipe, dataset: TextDataset, run: Run, *, checkpoint: Path | None = None) -> FitResult:
    """Train a classifier; model, history and checkpoints are saved in the run.

    Args:
        recipe: recipe of the training.
        dataset: data set with training and validation rows.
        run: run to write to; training resumes from its last complete checkpoint, if it has one.
        checkpoint: checkpoint to resume from; None = the last complete one.

    Returns:
        The classifier, loaded from the saved model, and statistics of its training.

    Raises:
        TrainingError: training cannot continue, for example because the memory is exhausted.
        RunError: the disk is full, or ``checkpoint`` is incomplete.
    """
    fit_kind: Fit = resolve(recipe.model.capabilities.fit)
    trackers = _trackers(recipe)
    if len(trackers) < len(recipe.train.report_to):
        logger.warning("train.report_to is ignored: the %s kind has no updates to report.", recipe.model.kind)
    free_memory()  # that of a model trained before, such as another fold
    with tracking(run, trackers), memory_errors(TrainingError, "training"):
        if not recipe.data.augment:
            return fit_kind(recipe, dataset, run, checkpoint)
        dataset, added = augmented(dataset, recipe.data, _augmentations(recipe), seed=recipe.seed)
        result = fit_kind(recipe, dataset, run, checkpoint)
        return replace(result, data={**result.data, "augmented": added})


def _augmentations(recipe: Recipe) -> dict[AugmentationName, Augmentation]:
    return build_augmentations(recipe.data, base=recipe.model.base, device=hardware_for(recipe.train).device)


def fit_backbone(recipe: Recipe, corpus: Corpus, run: Run) -> PretrainResult:
    """Pre-train the base of a recipe; backbone, history and checkpoints are saved in the run.

    Args:
        recipe: recipe with a [pretrain] section.
        corpus: texts to learn from.
        run: run to write to; training resumes from its last complete checkpoint, if it has one.

    Returns:
        Scores on the validation sequences, and statistics of the training.

    Raises:
        DataError: there are too few texts.
        TrainingError: training cannot continue.
        RunError: the disk is full.
    """
    with tracking(run, _trackers(recipe)), memory_errors(TrainingError, "training"):
        result: PretrainResult = import_module(PRETRAINING).fit_backbone(recipe, corpus, run)
    return result


def _trackers(recipe: Recipe) -> list[Tracker]:
    """The trackers of a recipe; none for kinds without updates."""
    return list(dict.fromkeys(recipe.train.report_to)) if recipe.model.capabilities.has_updates else []
