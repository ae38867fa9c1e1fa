"""What came out of a training, and what it worked with: what `diagnose` says of answers, data and time.

Each function takes the `Evidence` of a run and gives a `Diagnosis`, or None. Whatever leads to advice is read off
validation; test is looked at only to say that it differs.
"""

from __future__ import annotations

import math
from typing import Any

from slugline.core.hardware import PROFILES
from slugline.evaluation.diagnosis.evidence import MISSING, Diagnosis, Evidence, interval, listed

#: Validation rows of a class from which its absence among the answers says something.
CLASS_ROWS = 3

#: Classes that a message names.
NAMED = 5

#: Share of cut texts that is worth a word, and share that is worth a warning.
CUT, MOSTLY_CUT = 0.1, 0.5

#: Most encoders read this many tokens at a time.
LONGEST = 512

#: A class is rare with this many times fewer training rows than the largest.
IMBALANCE = 10.0

#: Distance between what is found of common and of rare classes, beyond both intervals, that calls for weights.
RARE_GAP = 0.1

#: Mean distance of confidence from accuracy from which raw probabilities mislead, and rows to measure it on: with
#: fewer, a perfectly calibrated model shows such a distance by chance.
MISCALIBRATED, CALIBRATION_ROWS = 0.1, 200

#: Share of padding that is worth a word; batches of like lengths have a few percent.
MUCH_PADDING = 0.3

#: Seconds of training from which time is worth a word.
LONG_SECONDS = 600.0


def never_predicted(evidence: Evidence) -> Diagnosis | None:
    """Classes that validation has and the model never names."""
    matrix, names = evidence.validation.get("confusion_matrix", []), list(evidence.validation.get("per_class", {}))
    missed = {
        name: sum(row)
        for index, (name, row) in enumerate(zip(names, matrix, strict=False))
        if sum(row) >= CLASS_ROWS and not any(other[index] for other in matrix)
    }
    if not missed:
        return None
    rows = evidence.class_rows
    shown = sorted(missed, key=lambda name: -missed[name])[:NAMED]
    described = [
        f"{name} ({missed[name]} rows" + (f", {rows[name]} in train)" if name in rows else ")") for name in shown
    ]
    if len(missed) > NAMED:
        described.append(f"{len(missed) - NAMED} more")
    return Diagnosis.of(
        "never_predicted",
        f"{len(missed)} of {len(names)} classes are never predicted on validation: {listed(described)}.",
        _for_rare_classes(evidence),
        "more rows of these classes",
        classes=len(missed),
        rows=sum(missed.values()),
    )


def _for_rare_classes(evidence: Evidence) -> dict[str, Any]:
    """What is not yet set of all that favours rare classes; the linear kind weights its classes by itself."""
    recipe = evidence.recipe
    if not recipe.model.capabilities.has_updates:
        return {}
    settings: dict[str, Any] = {}
    if recipe.train.class_weights == "none":
        settings["train.class_weights"] = "balanced"
    if recipe.data.sampling == "shuffle":
        settings["data.sampling"] = "balanced"
    if not recipe.train.logit_adjustment:
        settings["train.logit_adjustment"] = 1.0
    return settings


def imbalance(evidence: Evidence) -> Diagnosis | None:
    """Some classes have far fewer rows than others, and fewer of their rows are found."""
    rows = {name: count for name, count in evidence.class_rows.items() if count}
    scores = evidence.validation.get("per_class", {})
    if not rows or not scores:
        return None
    rare = [name for name in rows if name in scores and rows[name] * IMBALANCE <= max(rows.values())]
    common = [name for name in rows if name in scores and name not in rare]
    found_rare, found_common = _found(evidence, rare), _found(evidence, common)
    if not found_common[0] - found_rare[1] >= RARE_GAP:
        return None
    f1 = {part: _mean([scores[name]["f1"] for name in names]) for part, names in (("rare", rare), ("common", common))}
    return Diagnosis.of(
        "imbalance",
        f"Rare classes come off badly: the largest class has {max(rows.values()):,} training rows, the smallest "
        f"{min(rows.values()):,}; mean F1 is {f1['rare']:.2f} over the {len(rare)} classes with at most a tenth of the "
        f"largest, {f1['common']:.2f} over the others.",
        _for_rare_classes(evidence),
        "more rows of the rare classes",
        imbalance=max(rows.values()) / min(rows.values()),
        f1_rare=f1["rare"],
        f1_common=f1["common"],
    )


def _found(evidence: Evidence, names: list[str]) -> tuple[float, float]:
    """Interval of the share of these classes' validation rows that is found."""
    scores = [evidence.validation["per_class"][name] for name in names]
    support = sum(score["support"] for score in scores)
    hits = sum(score["recall"] * score["support"] for score in scores)
    return interval(hits / support if support else MISSING, support)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else MISSING


def truncation(evidence: Evidence) -> Diagnosis | None:
    """Texts are longer than what is read of them."""
    tokens, section = evidence.data.get("tokens") or {}, evidence.recipe.data
    seen = tokens.get("train", {})
    share, length = seen.get("truncated_share", 0.0), tokens.get("max_length", section.max_length)
    if share < CUT:
        return None
    return Diagnosis.of(
        "truncation",
        f"{share:.0%} of the training texts are longer than what is read of them ({_read(evidence, length)}).",
        _to_read_more(evidence, length),
        truncated_share=share,
        max_length=length,
        is_warning=share >= MOSTLY_CUT,
    )


def _to_read_more(evidence: Evidence, length: int) -> dict[str, Any]:
    section, train = evidence.recipe.data, evidence.recipe.train
    if section.long_texts == "window":
        return {"data.max_windows": 2 * section.max_windows}
    quantiles = evidence.data["tokens"]["train"].get("length_quantiles", {})
    longer = min(LONGEST, 32 * math.ceil(quantiles.get("0.9", 0) / 32))
    # Where the model cannot read what the recipe asks for, a larger maximum would change nothing.
    settings: dict[str, Any] = {"data.max_length": longer} if longer > length >= section.max_length else {}
    if section.stride < section.max_length and not train.mixup and not train.cutmix:
        return settings | {"data.long_texts": "window"}
    return settings | ({"data.long_texts": "head_tail"} if section.long_texts == "head" else {})


def _read(evidence: Evidence, length: int) -> str:
    section = evidence.recipe.data
    if section.long_texts == "window":
        return f"{section.max_windows} windows of {length} tokens"
    return f"{length} tokens, data.long_texts = {section.long_texts}"


def differing_test(evidence: Evidence) -> Diagnosis | None:
    """Accuracy on test and on validation lie further apart than chance would have it."""
    scores, test = evidence.validation, evidence.test
    if "accuracy" not in scores or "accuracy" not in test:
        return None
    here, there = (interval(part["accuracy"], part.get("support", 0)) for part in (scores, test))
    is_lower, is_higher = there[1] < here[0], there[0] > here[1]
    # An ensemble may well be better on test than each of its models out of its fold.
    if not is_lower and not (is_higher and not evidence.recipe.train.folds):
        return None
    return Diagnosis.of(
        "test_differs",
        f"Accuracy is {scores['accuracy']:.1%} [{here[0]:.1%}, {here[1]:.1%}] on validation but {test['accuracy']:.1%} "
        f"[{there[0]:.1%}, {there[1]:.1%}] on test: more than chance, so the two were not drawn alike, or rows leak.",
        {},
        "slugline data inspect, to look for leaks and for classes that differ",
        validation_accuracy=scores["accuracy"],
        test_accuracy=test["accuracy"],
    )


def miscalibration(evidence: Evidence) -> Diagnosis | None:
    """Confidence as the model says it is far from how often it is right."""
    scores, is_mended = evidence.validation, evidence.recipe.evaluation.calibrate != "none"
    raw = scores.get("ece_uncalibrated", MISSING)
    # The linear kind's margins are no probabilities before they are scaled.
    is_usual = is_mended and evidence.recipe.model.capabilities.has_margins
    if not raw >= MISCALIBRATED or evidence.n_validation < CALIBRATION_ROWS or is_usual:
        return None
    after = f"; after temperature scaling {scores['ece']:.3f}" if is_mended and "ece" in scores else ""
    return Diagnosis.of(
        "miscalibration",
        f"The model's raw confidence is off by {raw:.3f} on average{after}.",
        {} if is_mended else {"evaluation.calibrate": "temperature"},
        ece_uncalibrated=raw,
        ece=scores.get("ece", MISSING),
        is_warning=not is_mended,
    )


def slow(evidence: Evidence) -> Diagnosis | None:
    """Time went where it need not have gone: full precision, or padding."""
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
            f"{padding:.0%} of the tokens that were computed in {minutes} of training are padding.",
            {"train.micro_batch_tokens": max(1, tokens // 2)},
            is_warning=False,
            **numbers,
        )
    if manifest.get("precision") != "fp32" or device == "mps":
        return None
    is_asked = train.precision == "fp32"
    return Diagnosis.of(
        "slow",
        f"Training took {minutes} in single precision"
        + (", as train.precision asks for." if is_asked else f": this {_NAMES.get(device, device)} has no faster one."),
        {"train.precision": "auto"} if is_asked else {},
        *(
            []
            if is_asked
            else ["a GPU", "a smaller model.base", "a shorter data.max_length", "model.kind=linear first"]
        ),
        is_warning=False,
        **numbers,
    )


_NAMES = {"cpu": "processor", "cuda": "GPU"}
