"""Several models answer as one: by the mean of their logits, or of their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from slugline.core.predictions import probabilities
from slugline.inference import predictor
from slugline.inference.ensemble import EnsemblePredictor, average_logits


@dataclass
class Fixed:
    """Says the length of a text times its factors, a few texts at a time."""

    factors: tuple[float, ...]

    def logits(self, texts: Iterable[str]) -> Iterator[Any]:
        for text in texts:
            yield np.array([[factor * len(text) for factor in self.factors]], dtype=np.float32)


MEMBERS = [Fixed((1.0, 0.0, -1.0)), Fixed((0.0, 2.0, 0.5)), Fixed((-0.5, 0.25, 0.0))]
TEXTS = ["a", "four", "seven77", ""]


def said(method: Any, texts: list[str] = TEXTS) -> Any:
    return np.concatenate(list(EnsemblePredictor(MEMBERS, method).logits(texts)))


def test_logits_are_averaged() -> None:
    np.testing.assert_allclose(said("logits"), [[len(t) / 6, 0.75 * len(t), -len(t) / 6] for t in TEXTS], rtol=1e-6)


def test_probabilities_are_averaged() -> None:
    members = [probabilities(np.concatenate(list(member.logits(TEXTS)))) for member in MEMBERS]
    np.testing.assert_allclose(probabilities(said("probabilities")), np.mean(members, axis=0), rtol=1e-5)
    assert not np.allclose(probabilities(said("logits")), np.mean(members, axis=0), atol=0.01)


def test_a_class_that_all_rule_out_stays_finite() -> None:
    sure = np.array([[0.0, -500.0]], dtype=np.float32)
    assert np.isfinite(average_logits([sure, sure], "probabilities")).all()
    assert average_logits([sure, sure], "probabilities").dtype == np.float32


def test_texts_are_read_a_window_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = said("logits", TEXTS * 5)
    monkeypatch.setattr(predictor, "CHUNK_TEXTS", 3)
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS * 5:
            read.append(text)
            yield text

    answers = EnsemblePredictor(MEMBERS).logits(texts())
    first = next(answers)
    assert len(first) == len(read) == 3
    np.testing.assert_array_equal(np.concatenate([first, *answers]), expected)
