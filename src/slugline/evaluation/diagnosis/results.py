"""Checks of predictions, data and time.

Each check takes the `Evidence` of a run and returns a `Diagnosis` or None. Advice is based on validation only; metrics
on test are only compared with those on validation.
"""

from __future__ import annotations

import math
from typing import Any

from slugline.core.hardware import PROFILES
from slugline.evaluation.diagnosis.evidence import MISSING, Diagnosis, Evidence, interval, listed

#: Smallest number of validation rows of a class that is reported as never predicted.
MIN_CLASS_ROWS = 3

#: Largest number of classes that a message names.
MAX_NAMED = 5

#: Shares of truncated texts that are reported, and that are a warning.
TRUNCATED, MOSTLY_TRUNCATED = 0.1, 0.5

#: Maximum length of most encoders, in tokens.
MAX_LENGTH = 512

#: A class is rare if the largest class has at least this many times as many training rows.
IMBALANCE = 10.0

#: Distance between the recall intervals of common and rare classes that is reported.
RARE_GAP = 0.1

#: Calibration error that is reported, and the number of rows to measure it on: with fewer, a perfectly calibrated model
#: may have such an error by chance.
MISCALIBRATED, CALIBRATION_ROWS = 0.1, 200

#: Share of padding that is reported; batches of similar lengths have a few percent.
MUCH_PADDING = 0.3

#: Seconds of training from which `slow` reports.
LONG_SECONDS = 600.0

#: Device -> its name in messages.
DEVICE_NAMES = {"cpu": "processor", "cuda": "GPU"}


def never_predicted(evidence: Evidence) -> Diagnosis | None:
    """Diagnose classes that have validation rows but are never predicted."""
    matrix, names = evidence.validation.get("confusion_matrix", []), list(evidence.validation.get("per_class", {}))
    missed = {
        name: sum(row)
        for index, (name, row) in enumerate(zip(names, matrix, strict=False))
        if sum(row) >= MIN_CLASS_ROWS and not any(other[index] for other in matrix)
    }
    if not missed:
        return None
    rows = evidence.class_rows
    shown = sorted(missed, key=lambda name: -missed[name])[:MAX_NAMED]
    described = [
        f"{name} ({missed[name]} rows" + (f", {rows[name]} in train)" if name in rows else ")") for name in shown
    ]
    if len(missed) > MAX_NAMED:
        described.append(f"{len(missed) - MAX_NAMED} more")
    return Diagnosis.of(
        "never_predicted",
        f"{len(missed)} of {len(names)} classes are never predicted {evidence.where}: {listed(described)}.",
        _rare_class_settings(evidence),
        "more rows of these classes",
        classes=len(missed),
        rows=sum(missed.values()),
    )


def _rare_class_settings(evidence: Evidence) -> dict[str, Any]:
    """Settings in favour of rare classes that the recipe does not have yet."""
    recipe = evidence.recipe
    settings: dict[str, Any] = {}
    if recipe.train.class_weights == "none":
        settings["train.class_weights"] = "balanced"
    if recipe.data.sampling == "shuffle":
        settings["data.sampling"] = "balanced"
    if not recipe.train.logit_adjustment and recipe.model.capabilities.reads("logit_adjustment"):
        settings["train.logit_adjustment"] = 1.0
    return settings


def imbalance(evidence: Evidence) -> Diagnosis | None:
    """Diagnose classes with far fewer training rows than others, and a lower recall."""
    rows = {name: count for name, count in evidence.class_rows.items() if count}
    scores = evidence.validation.get("per_class", {})
    if not rows or not scores:
        return None
    rare = [name for name in rows if name in scores and rows[name] * IMBALANCE <= max(rows.values())]
    common = [name for name in rows if name in scores and name not in rare]
    recall_rare, recall_common = _recall_interval(evidence, rare), _recall_interval(evidence, common)
    if not recall_common[0] - recall_rare[1] >= RARE_GAP:
        return None
    f1 = {part: _mean([scores[name]["f1"] for name in names]) for part, names in (("rare", rare), ("common", common))}
    return Diagnosis.of(
        "imbalance",
        f"Rare classes are predicted badly: the largest class has {max(rows.values()):,} training rows, the smallest "
        f"{min(rows.values()):,}; mean F1 is {f1['rare']:.2f} over the {len(rare)} classes with at most a tenth of the "
        f"rows of the largest, {f1['common']:.2f} over the others.",
        _rare_class_settings(evidence),
        "more rows of the rare classes",
        imbalance=max(rows.values()) / min(rows.values()),
        f1_rare=f1["rare"],
        f1_common=f1["common"],
    )


def _recall_interval(evidence: Evidence, names: list[str]) -> tuple[float, float]:
    """Interval of the recall on validation, over all rows of these classes."""
    scores = [evidence.validation["per_class"][name] for name in names]
    support = sum(score["support"] for score in scores)
    hits = sum(score["recall"] * score["support"] for score in scores)
    return interval(hits / support if support else MISSING, support)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else MISSING


def truncation(evidence: Evidence) -> Diagnosis | None:
    """Diagnose truncated training texts."""
    tokens, section = evidence.data.get("tokens") or {}, evidence.recipe.data
    share, length = tokens.get("train", {}).get("truncated_share", 0.0), tokens.get("max_length", section.max_length)
    if share < TRUNCATED:
        return None
    return Diagnosis.of(
        "truncation",
        f"{share:.0%} of the training texts are truncated: the model reads {_length_read(evidence, length)}.",
        _length_settings(evidence, length),
        truncated_share=share,
        max_length=length,
        is_warning=share >= MOSTLY_TRUNCATED,
    )


def _length_settings(evidence: Evidence, length: int) -> dict[str, Any]:
    """Settings with which the model reads more of each text."""
    section, train = evidence.recipe.data, evidence.recipe.train
    if section.long_texts == "window":
        return {"data.max_windows": 2 * section.max_windows}
    quantiles = evidence.data["tokens"]["train"].get("length_quantiles", {})
    longer = min(MAX_LENGTH, 32 * math.ceil(quantiles.get("0.9", 0) / 32))
    # If the model's own limit is below the recipe's maximum, a larger maximum would change nothing.
    settings: dict[str, Any] = {"data.max_length": longer} if longer > length >= section.max_length else {}
    if section.stride < section.max_length and not train.mixup and not train.cutmix:
        return settings | {"data.long_texts": "window"}
    return settings | ({"data.long_texts": "head_tail"} if section.long_texts == "head" else {})


def _length_read(evidence: Evidence, length: int) -> str:
    section = evidence.recipe.data
    if section.long_texts == "window":
        return f"{section.max_windows} windows of {length} tokens"
    return f"{length} tokens (data.long_texts = {section.long_texts})"


def test_differs(evidence: Evidence) -> Diagnosis | None:
    """Diagnose accuracy on test that differs from accuracy on validation by more than chance explains."""
    scores, test = evidence.validation, evidence.test
    if "accuracy" not in scores or "accuracy" not in test:
        return None
    on_validation, on_test = (interval(part["accuracy"], part.get("support", 0)) for part in (scores, test))
    is_lower, is_higher = on_test[1] < on_validation[0], on_test[0] > on_validation[1]
    # The ensemble of a cross-validation may be better on test than its models are out of fold.
    if not is_lower and not (is_higher and not evidence.recipe.train.folds):
        return None
    return Diagnosis.of(
        "test_differs",
        f"Accuracy is {scores['accuracy']:.1%} [{on_validation[0]:.1%}, {on_validation[1]:.1%}] {evidence.where} but "
        f"{test['accuracy']:.1%} [{on_test[0]:.1%}, {on_test[1]:.1%}] on test. Chance does not explain the difference: "
        "the two splits were drawn differently, or rows leak.",
        {},
        "slugline data inspect, to look for leaks and for different class frequencies",
        validation_accuracy=scores["accuracy"],
        test_accuracy=test["accuracy"],
    )


def miscalibration(evidence: Evidence) -> Diagnosis | None:
    """Diagnose uncalibrated confidence that is far from accuracy."""
    scores, is_calibrated = evidence.validation, evidence.recipe.evaluation.calibrate != "none"
    raw = scores.get("ece_uncalibrated", MISSING)
    # Margins of the linear kind are not probabilities before they are scaled.
    is_expected = is_calibrated and evidence.recipe.model.capabilities.has_margins
    if not raw >= MISCALIBRATED or evidence.n_validation < CALIBRATION_ROWS or is_expected:
        return None
    after = f"; after temperature scaling, by {scores['ece']:.3f}" if is_calibrated and "ece" in scores else ""
    return Diagnosis.of(
        "miscalibration",
        f"Uncalibrated confidence differs from accuracy by {raw:.3f} on average{after}.",
        {} if is_calibrated else {"evaluation.calibrate": "temperature"},
        ece_uncalibrated=raw,
        ece=scores.get("ece", MISSING),
        is_warning=not is_calibrated,
    )


def slow(evidence: Evidence) -> Diagnosis | None:
    """Diagnose a long training with much padding or in single precision."""
    timing, train, manifest = evidence.timing, evidence.recipe.train, evidence.manifest
    seconds, padding = timing.get("train_seconds", 0.0), timing.get("padding_share", 0.0)
    if seconds < LONG_SECONDS or not evidence.recipe.model.capabilities.has_updates:
        return None
    minutes, device = f"{seconds / 60:,.0f} minutes", manifest.get("hardware", {}).get("device", "")
    numbers = {"train_seconds": seconds, "padding_share": padding}
    if padding >= MUCH_PADDING:
        tokens = train.micro_batch_tokens or PROFILES[manifest.get("profile", "cpu")].micro_batch_tokens
        return Diagnosis.of(
            "slow",
            f"{padding:.0%} of the tokens processed in {minutes} of training are padding.",
            {"train.micro_batch_tokens": max(1, tokens // 2)},
            is_warning=False,
            **numbers,
        )
    if manifest.get("precision") != "fp32" or device == "mps":
        return None
    is_set = train.precision == "fp32"
    return Diagnosis.of(
        "slow",
        f"Training took {minutes} in single precision"
        + (
            ", as set in train.precision."
            if is_set
            else f"; this {DEVICE_NAMES.get(device, device)} supports no faster one."
        ),
        {"train.precision": "auto"} if is_set else {},
        *([] if is_set else ["a GPU", "a smaller model.base", "a shorter data.max_length", "model.kind=linear first"]),
        is_warning=False,
        **numbers,
    )
