"""``TrainingArguments`` of a recipe, and checks of ``[train.arguments]``.

``[train.arguments]`` accepts `ALLOWED`, the arguments that were tried together with this training loop. Other arguments
do nothing here, break exact resuming, or have a recipe key of their own.
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

#: Arguments of Adam and its variants.
ADAM_ARGUMENTS = ("adam_beta1", "adam_beta2", "adam_epsilon")

#: Arguments that ``[train.arguments]`` accepts.
ALLOWED = ("optim", "optim_args", *ADAM_ARGUMENTS, "logging_first_step")

#: The default of ``optim``.
DEFAULT_OPTIMIZER = "adamw_torch_fused"

#: ``optim`` -> the other arguments that have an effect on it; those of ``optim_args`` have the form ``name=``.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "adamw_torch_fused": ADAM_ARGUMENTS,
    "adamw_torch": ADAM_ARGUMENTS,
    "sgd": ("momentum=", "dampening=", "nesterov="),
    "adagrad": ("lr_decay=", "eps="),
    "rmsprop": ("momentum=", "alpha=", "eps=", "centered="),
    "adafactor": (),
}

#: Argument that is not accepted -> the recipe key or option to use instead.
INSTEAD = {
    "output_dir": "--run-dir",
    "seed": "seed",
    "data_seed": "seed",
    "full_determinism": "seed",
    "num_train_epochs": "train.epochs",
    "max_steps": "train.max_tokens",
    "per_device_train_batch_size": "train.batch_size",
    "per_device_eval_batch_size": "train.eval_batch_size",
    "gradient_accumulation_steps": "train.micro_batch_size",
    "auto_find_batch_size": "train.micro_batch_size",
    "gradient_checkpointing": "model.gradient_checkpointing",
    "activation_checkpointing": "model.gradient_checkpointing",
    "learning_rate": "train.learning_rate",
    "weight_decay": "train.weight_decay",
    "warmup_steps": "train.warmup",
    "lr_scheduler_type": "train.schedule",
    "max_grad_norm": "train.max_grad_norm",
    "bf16": "train.precision",
    "fp16": "train.precision",
    "bf16_full_eval": "train.precision",
    "fp16_full_eval": "train.precision",
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
    "report_to": "train.report_to",
    "run_name": "name",
    "project": "WANDB_PROJECT, in the environment,",
    "resume_from_checkpoint": "--resume",
    "dataloader_num_workers": "train.workers",
}

#: Beginning of the name of an argument that is not accepted -> reason.
REASONS = {
    "eval_on_start": "Evaluation before the first update would select weights that no checkpoint has.",
    "ignore_data_skip": "A resumed training would read other rows than an uninterrupted one.",
    "lr_scheduler_kwargs": "The schedules of train.schedule have no further settings.",
    "torch_compile": "Compiled models were not tried.",
    **dict.fromkeys(("fsdp", "deepspeed", "ddp_", "local_rank", "parallelism"), "A training runs in one process."),
    **dict.fromkeys(("dataloader_", "train_sampling", "length_column"), "Slugline has data loaders of its own."),
    **dict.fromkeys(("eval_", "batch_eval", "include_", "prediction_loss"), "Slugline has evaluations of its own."),
    **dict.fromkeys(("push_to_hub", "hub_"), "A training publishes nothing."),
}

#: Reason for all other arguments.
NOT_TRIED = "It has no effect here, or was not tried."

#: Most updates between lines of the history, and lines of a short training, if ``train.logging_steps`` is unset.
MOST_LOGGING_STEPS, LINES = 50, 20


def check_arguments(arguments: dict[str, Any]) -> None:
    """Refuse arguments that are not in `ALLOWED`, that have no effect, or whose values are invalid.

    Args:
        arguments: ``[train.arguments]`` of the recipe.

    Raises:
        RecipeError: names the argument, the reason or the key to use instead, and the accepted arguments.
    """
    for name in arguments:
        if name not in ALLOWED:
            raise _refusal(name)
    if not isinstance(arguments.get("logging_first_step", False), bool):
        raise RecipeError(
            f"train.arguments.logging_first_step is {arguments['logging_first_step']!r}, not true or false."
        )
    if arguments:
        _check_optimizer(arguments)


def _refusal(name: str) -> RecipeError:
    from transformers import TrainingArguments

    allowed = f"[train.arguments] accepts {', '.join(ALLOWED)}."
    if name in INSTEAD:
        return RecipeError(f"train.arguments.{name} cannot be set.", hint=f"Use {INSTEAD[name]} instead. {allowed}")
    if name not in (field.name for field in dataclasses.fields(TrainingArguments)):
        known = [*ALLOWED, *INSTEAD]
        return RecipeError(
            f"train.arguments.{name} is not an argument of TrainingArguments.{nearest(name, known)}", hint=allowed
        )
    reason = next((reason for start, reason in REASONS.items() if name.startswith(start)), NOT_TRIED)
    return RecipeError(f"train.arguments.{name} cannot be set.", hint=f"{reason} {allowed}")


def _check_optimizer(arguments: dict[str, Any]) -> None:
    """Refuse an optimizer that was not tried, settings that it does not have, and invalid values."""
    optimizer = arguments.get("optim", DEFAULT_OPTIMIZER)
    if optimizer not in OPTIMIZERS:
        raise RecipeError(
            f"train.arguments.optim is {optimizer!r}.{nearest(str(optimizer), list(OPTIMIZERS))}",
            hint=f"It can be {', '.join(OPTIMIZERS)}.",
        )
    effective = OPTIMIZERS[optimizer]
    given = [name for name in arguments if name in ADAM_ARGUMENTS] + _settings_in(arguments.get("optim_args"))
    for name in given:
        if name not in effective:
            raise RecipeError(
                f"[train.arguments] {name} has no effect on optim = {optimizer!r}.",
                hint=f"Effective are {', '.join(effective)}." if effective else "Leave it out.",
            )
    _try(arguments)


def _settings_in(optim_args: Any) -> list[str]:
    """Names in ``optim_args``, each with its ``=``."""
    if optim_args is None:
        return []
    parts = optim_args.split(",") if isinstance(optim_args, str) else []
    if not parts or not all(part.partition("=")[2] for part in parts):
        raise RecipeError(
            f"train.arguments.optim_args is {optim_args!r}.",
            hint='Give pairs, for example "momentum=0.9,nesterov=True".',
        )
    return [part.partition("=")[0].strip() + "=" for part in parts]


def _try(arguments: dict[str, Any]) -> None:
    """Build the optimizer for a single weight, so that invalid values are found."""
    import torch
    from transformers import Trainer, TrainingArguments

    try:
        given = TrainingArguments(output_dir="unused", use_cpu=True, **arguments)
        optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(given)
        optimizer_class([torch.nn.Parameter(torch.zeros(1))], **options)
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"[train.arguments] {arguments}: {reason}") from error


def training_arguments(
    recipe: Recipe, runtime: Runtime, folder: Path, *, epochs: float, updates: int
) -> TrainingArguments:
    """Build the arguments of ``Trainer``.

    Args:
        recipe: recipe of the training.
        runtime: hardware and its settings, from `prepare_runtime`.
        folder: folder for checkpoints.
        epochs: number of epochs of the whole training.
        updates: number of updates of the whole training.

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
        logging_steps=section.logging_steps or max(1, min(MOST_LOGGING_STEPS, updates // LINES)),
        logging_nan_inf_filter=False,
        restore_callback_states_from_checkpoint=True,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=runtime.profile.workers,
        # `TrackerCallback` calls the trackers instead, because an error of a tracker must not end the training.
        report_to="none",
        run_name=recipe.name,
        project="slugline",
        **section.arguments,
    )
    if arguments.n_gpu > 1:
        # With several GPUs in one process, Trainer would use DataParallel, which splits an update a second time. To use
        # several GPUs, start one process for each.
        arguments._n_gpu = 1
    return arguments
