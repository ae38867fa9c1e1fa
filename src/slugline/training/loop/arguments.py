"""``TrainingArguments`` of a recipe, and checks of ``[train.arguments]``.

An argument that a recipe key sets cannot also be set in ``[train.arguments]``: `OWNED_ARGUMENTS` lists these arguments.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slugline.core.errors import RecipeError, nearest
from slugline.recipe.recipe import Recipe

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from slugline.training.runtime import Runtime

#: Argument that cannot be set -> the recipe key or option to use instead; empty for values that exact and resumable
#: training depends on.
OWNED_ARGUMENTS = {
    "output_dir": "--run-dir",
    "seed": "seed",
    "data_seed": "seed",
    "num_train_epochs": "train.epochs",
    "max_steps": "train.max_tokens",
    "per_device_train_batch_size": "train.batch_size",
    "per_device_eval_batch_size": "train.eval_batch_size",
    "gradient_accumulation_steps": "train.micro_batch_size",
    "auto_find_batch_size": "train.micro_batch_size",
    "learning_rate": "train.learning_rate",
    "weight_decay": "train.weight_decay",
    "warmup_steps": "train.warmup",
    "lr_scheduler_type": "train.schedule",
    "max_grad_norm": "train.max_grad_norm",
    "bf16": "train.precision",
    "fp16": "train.precision",
    "use_cpu": "train.device",
    "label_smoothing_factor": "train.label_smoothing",
    "eval_strategy": "train.eval_every",
    "eval_steps": "train.eval_every",
    "save_strategy": "train.save_every",
    "save_steps": "train.save_every",
    "save_total_limit": "train.keep_checkpoints",
    "save_only_model": "train.keep_checkpoints",
    "load_best_model_at_end": "train.select_by",
    "metric_for_best_model": "train.select_by",
    "greater_is_better": "train.select_by",
    "logging_steps": "train.logging_steps",
    "logging_strategy": "train.logging_steps",
    "logging_nan_inf_filter": "",
    "restore_callback_states_from_checkpoint": "",
    "disable_tqdm": "",
    "remove_unused_columns": "",
    "report_to": "train.report_to",
    "run_name": "name",
    "push_to_hub": "",
    "do_train": "",
    "do_eval": "",
    "do_predict": "",
    "resume_from_checkpoint": "--resume",
    "dataloader_num_workers": "train.workers",
    "full_determinism": "",
}


def check_arguments(arguments: dict[str, Any]) -> None:
    """Refuse arguments that do not exist, that the recipe sets elsewhere, or whose values are invalid.

    Args:
        arguments: ``[train.arguments]`` of the recipe.

    Raises:
        RecipeError: names the argument and the key to use instead.
    """
    if not arguments:
        return
    from transformers import TrainingArguments

    known = [field.name for field in dataclasses.fields(TrainingArguments)]
    for name in arguments:
        if name in OWNED_ARGUMENTS:
            instead = OWNED_ARGUMENTS[name]
            raise RecipeError(
                f"train.arguments.{name} cannot be set.",
                hint=f"Use {instead} instead." if instead else "Exact and resumable training depends on its value.",
            )
        if name not in known:
            raise RecipeError(f"train.arguments.{name} is not an argument of TrainingArguments.{nearest(name, known)}")
    try:
        TrainingArguments(output_dir="unused", use_cpu=True, **arguments)
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"[train.arguments] {arguments}: {reason}") from error


def training_arguments(recipe: Recipe, runtime: Runtime, folder: Path, *, epochs: float) -> TrainingArguments:
    """Build the arguments of ``Trainer``.

    Args:
        recipe: recipe of the training.
        runtime: hardware and its settings, from `prepare_runtime`.
        folder: folder for checkpoints.
        epochs: number of epochs of the whole training.

    Returns:
        The arguments, including those of ``[train.arguments]``.
    """
    from transformers import TrainingArguments

    section = recipe.train
    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=recipe.seed,
        num_train_epochs=epochs,
        per_device_train_batch_size=section.batch_size,
        gradient_accumulation_steps=1,
        auto_find_batch_size=False,
        learning_rate=section.learning_rate,
        weight_decay=section.weight_decay,
        warmup_steps=section.warmup,
        max_grad_norm=section.max_grad_norm,
        bf16=runtime.precision.precision == "bf16",
        fp16=runtime.precision.precision == "fp16",
        use_cpu=runtime.hardware.device == "cpu",
        eval_strategy="no",
        save_strategy="no",
        logging_steps=section.logging_steps,
        logging_nan_inf_filter=False,
        restore_callback_states_from_checkpoint=True,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=runtime.profile.workers,
        # `TrackerCallback` calls the trackers instead, because an error of a tracker must not end the training.
        report_to="none",
        run_name=recipe.name,
        **({"project": "slugline"} | section.arguments),
    )
    if arguments.n_gpu > 1:
        # With several GPUs in one process, Trainer would use DataParallel, which splits an update a second time. To use
        # several GPUs, start one process for each.
        arguments._n_gpu = 1
    return arguments
