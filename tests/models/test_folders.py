"""Model folders of others: PyTorch's format, damaged files, sizes that disagree, adapters, classifiers as bases."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from slugline import load
from slugline.core.errors import ModelError
from slugline.core.labels import LabelSet
from slugline.models.adaptation.adapt import adapt
from slugline.models.build import build_pretrained
from slugline.models.saving import save
from slugline.models.tokenizers import load_tokenizer
from slugline.recipe.model_section import ModelSection

LABELS = LabelSet(("business", "sport", "tech"))
TEXTS = ["market shares profit", "the team won a match"]


@pytest.fixture
def classifier(tiny_base: Path, tmp_path: Path) -> Path:
    """Folder of a classifier of three classes with BERT's own head."""
    return saved_classifier(tiny_base, tmp_path / "classifier", pooling="native")


def saved_classifier(base: Path, folder: Path, labels: LabelSet = LABELS, **keys: Any) -> Path:
    torch.manual_seed(1)
    model = build_pretrained(ModelSection.model_validate({"base": str(base), **keys}), labels, "cpu")
    folder.mkdir()
    save(model, load_tokenizer(str(base)), folder)
    return folder


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes a key."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def as_pytorch(folder: Path) -> None:
    """Replace the safetensors of a folder by PyTorch's format."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def built(base: Path, labels: LabelSet = LABELS, **keys: Any) -> Any:
    torch.manual_seed(0)
    tokenizer = load_tokenizer(str(base))
    return build_pretrained(ModelSection.model_validate({"base": str(base), **keys}), labels, "cpu", tokenizer)


def test_weights_in_pytorchs_format_are_read_with_a_warning(
    classifier: Path, tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load(classifier, precision="fp32").predict_proba(TEXTS)
    as_pytorch(classifier)
    np.testing.assert_allclose(load(classifier, precision="fp32").predict_proba(TEXTS), expected)
    assert "pytorch_model.bin); they are read with weights_only=True" in caplog.text
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    as_pytorch(base)
    torch.testing.assert_close(
        built(base, pooling="mean").backbone.state_dict(), built(tiny_base, pooling="mean").backbone.state_dict()
    )


class Malicious:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_pickle_with_code_is_refused(classifier: Path, tmp_path: Path, is_archive: bool) -> None:
    as_pytorch(classifier)
    target = classifier / "pytorch_model.bin"
    if is_archive:
        torch.save({"weight": Malicious(tmp_path / "executed")}, target)
    else:
        target.write_bytes(pickle.dumps({"weight": Malicious(tmp_path / "executed")}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(classifier)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_named(classifier: Path, name: str, share: float) -> None:
    content = (classifier / name).read_bytes()
    (classifier / name).write_bytes(content[: round(share * len(content))])
    for read in (load, built):
        with pytest.raises(ModelError, match=rf"classifier/{name} is damaged"):
            read(classifier)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_git_has_not_fetched_is_named(classifier: Path, name: str) -> None:
    (classifier / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(ModelError, match=rf"{name} is a pointer of Git LFS(.|\n)*git lfs pull"):
        load(classifier)


def test_garbled_bytes_are_named(classifier: Path) -> None:
    (classifier / "config.json").write_bytes(b"\xff\xfe\x00garbled")
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        load(classifier)


@pytest.mark.parametrize("name", ["linear.json", "model.safetensors"])
def test_a_damaged_linear_model_is_named(tmp_path: Path, name: str) -> None:
    from slugline.training.linear import fit_linear_models

    targets = np.array([0, 1, 2] * 4)
    predictor = next(fit_linear_models(["a text", "the other"] * 6, targets, labels=LABELS, costs=[1.0]))
    predictor.save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100])
    with pytest.raises(ModelError, match=rf"{name} is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("names", [["one", "two"], ["one", "two", "three", "four"]])
def test_another_number_of_names_than_outputs_is_refused_with_both_numbers(classifier: Path, names: list[str]) -> None:
    edit(classifier / "config.json", id2label=dict(enumerate(names)), label2id=None)
    with pytest.raises(ModelError, match=rf"classifier\.\w+ have the shape \(3,.*but \({len(names)},(.|\n)*id2label"):
        load(classifier)


def test_repeated_and_unnumbered_names_are_refused(classifier: Path) -> None:
    edit(classifier / "config.json", id2label={"0": "one", "1": "two", "2": "one"}, label2id=None)
    with pytest.raises(ModelError, match="3 entries, but only 2 names: 'one'"):
        load(classifier)
    edit(classifier / "config.json", id2label={"0": "one", "1": "two", "3": "three"})
    with pytest.raises(ModelError, match="numbers its 3 classes 0, 1, 3"):
        load(classifier)


def test_sizes_that_disagree_with_the_weights_are_refused_with_both_numbers(classifier: Path, tiny_base: Path) -> None:
    edit(classifier / "config.json", vocab_size=1_000)
    rows = load_file(tiny_base / "model.safetensors")["embeddings.word_embeddings.weight"].shape[0]
    for read in (load, built):
        with pytest.raises(ModelError, match=rf"shape \({rows}, 32\), but \(1000, 32\)"):
            read(classifier)


def test_a_tokenizer_larger_than_the_embeddings_is_refused_with_both_numbers(classifier: Path, tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    rows = len(tokenizer)
    tokenizer.add_tokens(["zeitgeist", "weltschmerz"])
    for folder in (classifier, tiny_base):
        copy = shutil.copytree(folder, classifier.parent / f"large-{folder.name}")
        tokenizer.save_pretrained(copy)
        with pytest.raises(ModelError, match=f"{rows + 2} entries, but the model only {rows} embeddings"):
            (load if folder == classifier else built)(copy)


def test_special_tokens_without_embedding_do_no_harm(classifier: Path, tiny_base: Path) -> None:
    """They are read as text, and never become a token."""
    expected = load(classifier, precision="fp32").predict_proba(["the market [NEW]"])
    tokenizer = load_tokenizer(str(tiny_base))
    tokenizer.add_special_tokens({"extra_special_tokens": ["[NEW]"]})
    tokenizer.save_pretrained(classifier)
    np.testing.assert_allclose(load(classifier, precision="fp32").predict_proba(["the market [NEW]"]), expected)


def test_the_weights_show_a_head_if_the_configuration_names_no_architecture(classifier: Path, tiny_base: Path) -> None:
    expected = load(classifier, precision="fp32").predict_proba(TEXTS)
    edit(classifier / "config.json", architectures=None)
    np.testing.assert_allclose(load(classifier, precision="fp32").predict_proba(TEXTS), expected)
    base = shutil.copytree(tiny_base, classifier.parent / "base")
    edit(base / "config.json", architectures=None)
    with pytest.raises(ModelError, match="bert without a classification head"):
        load(base)
    edit(classifier / "config.json", architectures=["BertForTokenClassification"])
    with pytest.raises(ModelError, match="BertForTokenClassification without a classification head"):
        load(classifier)


def test_weights_that_are_missing_are_named(classifier: Path) -> None:
    weights = load_file(classifier / "model.safetensors")
    del weights["bert.encoder.layer.1.attention.self.query.weight"]
    save_file(weights, classifier / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack bert\.encoder\.layer\.1\.attention\.self\.query\.weight"):
        load(classifier)


def test_an_adapter_alone_is_explained(tiny_base: Path, tmp_path: Path) -> None:
    model = built(tiny_base, pooling="native")
    adapted = adapt(model, ModelSection.model_validate({"adapt": "lora"}))
    adapted.save_adapter(tmp_path)
    for read in (load, lambda folder: built(folder)):
        with pytest.raises(ModelError, match=r"an adapter of PEFT \(LORA\) for .*tiny-bert(.|\n)*merge_and_unload"):
            read(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"adapter_config\.json is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_a_classifier_of_other_classes_gets_a_new_output_layer(
    tiny_base: Path, tmp_path: Path, pooling: str, caplog: pytest.LogCaptureFixture
) -> None:
    base = saved_classifier(tiny_base, tmp_path / "base", pooling=pooling)
    old = load_file(base / "model.safetensors")
    for names in (("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")):
        caplog.clear()
        with caplog.at_level("INFO"):
            model = built(base, LabelSet(names))
        assert (
            f"a classifier of other classes (business, sport, tech): it gets a new output layer for {len(names)}"
            in (caplog.text)
        )
        weights = dict(model.state_dict())
        assert weights["classifier.weight"].shape == (len(names), 32)
        assert len(names) != 3 or not torch.equal(weights["classifier.weight"], old["classifier.weight"])
        assert weights["classifier.weight"].std() > 0.01
        kept = [name for name in old if not name.startswith("classifier.")]
        assert all(torch.equal(weights[name], old[name]) for name in kept)


@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_a_classifier_of_the_same_classes_keeps_its_head_in_any_order(
    tiny_base: Path, tmp_path: Path, pooling: str, caplog: pytest.LogCaptureFixture
) -> None:
    base = saved_classifier(tiny_base, tmp_path / "base", pooling=pooling)
    expected = load(base, precision="fp32").predict_proba(TEXTS)
    with caplog.at_level("INFO"):
        again = saved_classifier(base, tmp_path / "again", LabelSet(("tech", "business", "sport")))
    assert "the same classes: its head is kept" in caplog.text
    found = load(again, precision="fp32")
    np.testing.assert_allclose(found.predict_proba(TEXTS)[:, [1, 2, 0]], expected, atol=1e-6)
    assert found.labels.names == ("tech", "business", "sport")


def test_a_base_without_head_gets_a_head_without_a_word(tiny_base: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        built(tiny_base, pooling="native")
    assert "classifier" not in caplog.text


def test_the_backbone_of_a_classifier_gets_another_pooling(tiny_base: Path, tmp_path: Path) -> None:
    base = saved_classifier(tiny_base, tmp_path / "base", pooling="mean")
    model = built(base, pooling="max", head="mlp", dropout=0.3)
    old = load_file(base / "model.safetensors")
    new = model.state_dict()
    assert model.config.pooling == "max"
    assert model.backbone.config.hidden_dropout_prob == 0.3
    assert all(torch.equal(new[name], old[name]) for name in old if name.startswith("backbone."))
    assert built(base, dropout=0.2, head_dropout=0.4).backbone.config.hidden_dropout_prob == 0.2


def test_bottleneck_adapters_of_a_base_are_not_lost_silently(tiny_base: Path, tmp_path: Path) -> None:
    base = saved_classifier(tiny_base, tmp_path / "base", adapt="adapter")
    with pytest.raises(ModelError, match="has bottleneck adapters"):
        built(base, pooling="max")
    built(base)


def test_a_decoder_that_was_trained_as_a_classifier_is_a_base(
    decoder_base: Callable[[str], Path], tmp_path: Path
) -> None:
    base = saved_classifier(decoder_base("gpt2"), tmp_path / "base", kind="decoder", pooling="mean")
    assert built(base, LabelSet(("a", "b")), kind="decoder").config.num_labels == 2


def test_a_base_of_the_wrong_architecture_is_refused_before_data_is_read(
    recipe_values: dict[str, Any], tmp_path: Path
) -> None:
    from architectures import tiny_model, tiny_tokenizer
    from conftest import with_changes
    from slugline import train

    tiny_model("fnet", "AutoModel").save_pretrained(tmp_path / "fnet")
    tiny_tokenizer().save_pretrained(tmp_path / "fnet")
    recipe = with_changes(
        recipe_values, model={"base": str(tmp_path / "fnet")}, data={"path": str(tmp_path / "nothing.csv")}
    )
    with pytest.raises(ModelError, match="logits of fnet depend on the padding"):
        train(recipe, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_the_base_of_another(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    from conftest import with_changes
    from slugline import train

    run = train(with_changes(recipe_values, train={"epochs": 1}), run_dir=tmp_path / "one")
    again = train(
        with_changes(recipe_values, model={"base": str(run.path), "pooling": "auto"}, train={"epochs": 1}),
        run_dir=tmp_path / "two",
    )
    assert "the same classes: its head is kept" in (again.path / "log.txt").read_text()
    assert again.metrics["validation"]["loss"] < run.metrics["validation"]["loss"]
