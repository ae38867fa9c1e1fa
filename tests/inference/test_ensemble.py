"""Ensembles: the mean of the members' logits or probabilities."""

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
    """A predictor whose logits are the length of a text times its factors."""

    factors: tuple[float, ...]

    def logits(self, texts: Iterable[str]) -> Iterator[Any]:
        for text in texts:
            yield np.array([[factor * len(text) for factor in self.factors]], dtype=np.float32)


MEMBERS = [Fixed((1.0, 0.0, -1.0)), Fixed((0.0, 2.0, 0.5)), Fixed((-0.5, 0.25, 0.0))]
TEXTS = ["a", "four", "seven77", ""]


def ensemble_logits(method: Any, texts: list[str] = TEXTS) -> Any:
    return np.concatenate(list(EnsemblePredictor(MEMBERS, method).logits(texts)))


def test_logits_are_averaged() -> None:
    expected = [[len(text) / 6, 0.75 * len(text), -len(text) / 6] for text in TEXTS]
    np.testing.assert_allclose(ensemble_logits("logits"), expected, rtol=1e-6)


def test_probabilities_are_averaged() -> None:
    members = [probabilities(np.concatenate(list(member.logits(TEXTS)))) for member in MEMBERS]
    np.testing.assert_allclose(probabilities(ensemble_logits("probabilities")), np.mean(members, axis=0), rtol=1e-5)
    assert not np.allclose(probabilities(ensemble_logits("logits")), np.mean(members, axis=0), atol=0.01)


def test_the_logit_of_an_impossible_class_is_finite() -> None:
    logits = np.array([[0.0, -500.0]], dtype=np.float32)
    assert np.isfinite(average_logits([logits, logits], "probabilities")).all()
    assert average_logits([logits, logits], "probabilities").dtype == np.float32


def test_texts_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ensemble_logits("logits", TEXTS * 5)
    monkeypatch.setattr(predictor, "CHUNK_TEXTS", 3)
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS * 5:
            read.append(text)
            yield text

    chunks = EnsemblePredictor(MEMBERS).logits(texts())
    first = next(chunks)
    assert len(first) == len(read) == 3
    np.testing.assert_array_equal(np.concatenate([first, *chunks]), expected)
