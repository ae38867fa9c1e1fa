"""Changed copies of the texts of small classes: which rows are copied, how texts change, and what stays unchanged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from datasets import Dataset

from conftest import with_changes, write_csv
from slugline import train
from slugline.core.errors import DataError, ModelError, RecipeError
from slugline.core.labels import LabelSet
from slugline.data.dataset import TextDataset
from slugline.data.folds import folds_of
from slugline.data.load import load_dataset
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.data_section import AugmentationName, DataSection
from slugline.training.methods.augmentation import (
    AUGMENTATIONS,
    MOST_COPIES,
    augmented,
    build_augmentations,
    rows_to_copy,
)

TEXT = "market shares profit bank oil prices economy stocks trade dollar"


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def copies(name: Any, texts: list[str], base: Path | str = "", **keys: Any) -> list[str]:
    section = DataSection(path="none.csv", augment=[name], **keys)
    return build_augmentations(section, base=str(base), device="cpu")[name](texts, generator())


@pytest.fixture(scope="session")
def masked_model(tiny_base: Path, masked_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model with random weights."""
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("models") / "masked-model"
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig.from_pretrained(masked_base)).save_pretrained(folder)
    load_tokenizer(str(masked_base)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def writing_model(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence-to-sequence model with random weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    folder, tokenizer = tmp_path_factory.mktemp("models") / "tiny-t5", load_tokenizer(str(tiny_base))
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_small_classes_are_filled_up_to_the_median_or_a_number() -> None:
    rows = [("a",)] * 40 + [("b",)] * 20 + [("c",)] * 5
    filled = Counter(rows[index][0] for index in rows_to_copy(rows, size=0, rng=generator()))
    assert filled == {"c": 15}
    filled = Counter(rows[index][0] for index in rows_to_copy(rows, size=30, rng=generator()))
    assert filled == {"b": 10, "c": 25}
    assert Counter(rows_to_copy(rows, size=30, rng=generator())).most_common(1)[0][1] == 5  # rows in turn
    assert len(rows_to_copy([("a",)] * 900 + [("b",)], size=900, rng=generator())) == MOST_COPIES
    with pytest.raises(DataError, match="no training row has a label"):
        rows_to_copy([(), ()], size=0, rng=generator())


def test_a_copy_counts_for_all_labels_of_its_row() -> None:
    rows = [("a",)] * 20 + [("b", "c")] * 2 + [("c",)] * 10 + [()] * 5
    chosen = rows_to_copy(rows, size=12, rng=generator())
    assert Counter(rows[index] for index in chosen) == {("b", "c"): 10}  # which also gives c 12 rows


def test_dropout_and_swap_change_a_share_of_the_words() -> None:
    words = TEXT.split()
    (dropped,) = copies("dropout", [TEXT], augment_share=0.3)
    assert len(dropped.split()) == 7
    assert [word for word in words if word in dropped.split()] == dropped.split()
    (swapped,) = copies("swap", [TEXT], augment_share=0.2)
    assert sorted(swapped.split()) == sorted(words)
    assert swapped != TEXT
    for name in ("dropout", "swap"):
        assert copies(name, ["word", "", "two words"], augment_share=1.0)[:2] == ["word", ""]
        assert copies(name, ["two words"], augment_share=1.0)[0]


def test_neighbours_are_the_nearest_words_of_the_embedding(tiny_base: Path) -> None:
    from transformers import AutoModel

    (changed,) = copies("neighbours", [f"{TEXT} unheardof"], tiny_base, augment_share=0.2)
    assert changed.split()[-1] == "unheardof"
    pairs = [(old, new) for old, new in zip(TEXT.split(), changed.split(), strict=False) if old != new]
    assert len(pairs) == 2
    table = AutoModel.from_pretrained(tiny_base).get_input_embeddings().weight.detach()
    vectors = torch.nn.functional.normalize(table, dim=1)
    vocabulary = load_tokenizer(str(tiny_base)).get_vocab()
    tokens = {word: token for word, token in vocabulary.items() if word.isalpha() and len(word) > 1}
    for old, new in pairs:
        closer = sum(
            vectors[token] @ vectors[tokens[old]] > vectors[tokens[new]] @ vectors[tokens[old]]
            for token in tokens.values()
        )
        assert closer <= 5  # the word itself and at most four others


def test_masked_words_are_filled_by_other_words(masked_model: Path) -> None:
    texts = [TEXT, "goal team", "on monday"] * 15
    changed = copies("masked", texts, masked_model, augment_share=0.3)
    assert len(changed) == 45
    for old, new in zip(texts, changed, strict=True):
        differing = sum(a != b for a, b in zip(old.split(), new.split(), strict=True))
        assert differing == max(1, round(0.3 * len(old.split())))
    assert changed == copies("masked", texts, masked_model, augment_share=0.3)


def test_paraphrases_are_written_by_a_model_without_changing_the_global_generator(writing_model: Path) -> None:
    models = {"augment_models": {"paraphrase": str(writing_model)}}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    written = copies("paraphrase", [TEXT, "goal"], **models)
    assert torch.equal(torch.rand(3), expected)
    assert len(written) == 2
    assert written == copies("paraphrase", [TEXT, "goal"], **models)


def test_models_that_do_not_fit_are_refused(tiny_base: Path, recipe_values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no mask token|lacks weights"):
        copies("masked", [TEXT], tiny_base)
    with pytest.raises(ModelError, match=r"model\.base is empty"):
        copies("neighbours", [TEXT])
    with pytest.raises(RecipeError, match=r"needs a sequence-to-sequence model"):
        with_changes(recipe_values, data={"augment": ["paraphrase"]})
    recipe = with_changes(recipe_values, data={"augment": ["masked"]})
    with pytest.raises(ModelError, match=r"no mask token|lacks weights"):
        train(recipe, run_dir=tmp_path / "run")


def test_every_augmentation_of_the_recipe_exists() -> None:
    assert set(get_args(AugmentationName)) == set(AUGMENTATIONS)


def imbalanced(tmp_path: Path) -> Path:
    words = TEXT.split()
    rows = [
        {"text": f"{words[index % 10]} {words[(index // 10) % 10]} on no{index}", "label": label}
        for label, size in (("many", 60), ("some", 40), ("few", 12))
        for index in range(size)
    ]
    return write_csv(tmp_path / "rows.csv", [row | {"text": f"{row['label']}ish {row['text']}"} for row in rows])


def test_only_training_rows_get_copies_also_in_folds(tmp_path: Path) -> None:
    section = DataSection(path=str(imbalanced(tmp_path)), augment=["dropout", "swap"], augment_share=0.3)
    chosen = build_augmentations(section, base="", device="cpu")
    whole = load_dataset(section)
    for dataset in (whole, *folds_of(whole, 3, seed=1)):
        larger, added = augmented(dataset, section, chosen, seed=1)
        assert larger["validation"] is dataset["validation"]
        assert larger["test"] is dataset["test"]
        count = len(dataset["train"])
        assert larger["train"][:count] == dataset["train"][:count]
        new = larger["train"][count:]
        assert added == {"few": len(new["id"])}
        assert len(new["id"]) > 10
        assert {name.split("~")[0] for name in new["id"]} <= set(dataset["train"]["id"])
        assert len(set(larger["train"]["id"][:])) == len(larger["train"])
        assert larger.fingerprint != dataset.fingerprint
        again, _ = augmented(dataset, section, chosen, seed=1)
        assert again["train"][:] == larger["train"][:]


def test_rows_with_several_labels_are_copied_with_all_of_them() -> None:
    labels = LabelSet(("a", "b"), "multi")
    rows = [["a"]] * 9 + [["a", "b"]]
    columns = {"id": [str(i) for i in range(10)], "text": [f"{TEXT} {i}" for i in range(10)]}
    train_rows = Dataset.from_dict(columns | {"label": labels.indices([tuple(row) for row in rows])})
    dataset = TextDataset({"train": train_rows}, labels, None, "f")  # type: ignore[arg-type]
    section = DataSection(path="none.csv", augment=["swap"], augment_to=4)
    larger, added = augmented(dataset, section, build_augmentations(section, base="", device="cpu"), seed=1)
    assert added == {"a": 3, "b": 3}
    assert larger.targets("train")[10:].tolist() == [[True, True]] * 3


@pytest.mark.parametrize("kind", ["encoder", "linear"])
def test_a_run_with_copies_records_them_and_scores_the_same_rows(
    recipe_values: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    recipe_values["data"]["path"] = str(imbalanced(tmp_path))
    if kind == "linear":
        recipe_values |= {"model": {"kind": "linear"}, "train": {}}
    plain = train(with_changes(recipe_values), run_dir=tmp_path / "plain")
    recipe = with_changes(recipe_values, data={"augment": ["swap", "dropout"]})
    run = train(recipe, run_dir=tmp_path / "run")
    assert list(run.data["augmented"]) == ["few"]
    assert run.manifest["data"]["fingerprint"] == plain.manifest["data"]["fingerprint"]
    assert run.data["classes"] == plain.data["classes"]
    assert run.predictions("test").ids.tolist() == plain.predictions("test").ids.tolist()
