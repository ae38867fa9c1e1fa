"""Fixtures of all tests: no network, a separate cache, tiny random models, generated articles."""

from __future__ import annotations

import os

# Libraries read these variables when they are imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
# Tiny models are faster on one core.
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity") and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
    # Each worker of pytest-xdist uses one core: threads that wait for each other while other workers run are slow.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

import csv
import gc
import json
import logging
import multiprocessing
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from slugline.core import messages, progress
from slugline.recipe.recipe import Recipe, validate

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

#: Published results of a classifier of 18 Reuters topics: class counts and weights, confusion matrix, metrics.
GOLDEN = json.loads((Path(__file__).parent / "golden" / "reuters18.json").read_text(encoding="utf-8"))

#: Words that occur in one topic.
TOPICS = {
    "business": "market shares profit bank oil prices economy stocks trade dollar".split(),
    "sport": "match goal team coach season player league cup win injury".split(),
    "tech": "software phone internet computer users online chip network data games".split(),
}
#: Words that occur in all topics.
FILLER = "the a said on monday new after over for with his its were about more people year".split()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report if the tests on real data ran."""
    result = "ran" if SHARED_DATA.is_dir() else "were skipped: there is no ../shared/data"
    terminalreporter.write_line(f"tests on real data sets {result}")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Connections to other machines are errors."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to connect to {address}")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign, assignment]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A separate cache, no data of the user, the logging of a program without the command line, hidden progress."""
    monkeypatch.setenv("SLUGLINE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("SLUGLINE_DATA", raising=False)
    monkeypatch.setattr(progress, "_shown", False)
    for name, value in (("handlers", []), ("propagate", True), ("level", logging.NOTSET)):
        monkeypatch.setattr(messages.logger, name, value)


def articles(count: int, *, seed: int = 0, topics: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
    """Generated articles, balanced over the topics, all different."""
    rng = random.Random(seed)
    chosen = topics or TOPICS
    rows = []
    for index in range(count):
        topic = list(chosen)[index % len(chosen)]
        words = rng.choices(chosen[topic], k=rng.randint(2, 6)) + rng.choices(FILLER, k=rng.randint(3, 25))
        rng.shuffle(words)
        rows.append({"text": " ".join([*words, f"no{index}"]), "label": topic})
    return rows


def tagged_articles(count: int, *, seed: int = 0) -> list[dict[str, str]]:
    """Generated articles on any number of the topics, named in ``label`` between bars; some have none."""
    rng = random.Random(seed)
    rows = []
    for index in range(count):
        topics = [topic for topic in TOPICS if rng.random() < 0.45]
        words = [word for topic in topics for word in rng.choices(TOPICS[topic], k=3)] + rng.choices(FILLER, k=5)
        rng.shuffle(words)
        rows.append({"text": " ".join([*words, f"no{index}"]), "label": "|".join(topics)})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def start_cli(*arguments: str, stderr: Path) -> BaseProcess:
    """Run a command in another process, which can be killed.

    A fork server imports torch and transformers once for all such processes of a test session.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["slugline.cli.app", "slugline.pipeline", "slugline.training.finetune"])
    process = context.Process(target=_run_cli, args=(arguments, Path.cwd(), dict(os.environ), stderr))
    process.start()
    return process


def _run_cli(arguments: tuple[str, ...], folder: Path, environment: dict[str, str], stderr: Path) -> None:
    from slugline.cli.app import run

    # Under nohup or in the background, SIGINT is ignored, which child processes inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    os.chdir(folder)
    with stderr.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 2)
    sys.exit(run(list(arguments)))


def wait_for(condition: Callable[[], object], process: BaseProcess, *, seconds: float = 120) -> None:
    """Wait until a condition holds; the process must still run then."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.is_alive(), "the process has ended"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.001)


@pytest.fixture(scope="session")
def news_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 articles on three topics."""
    return write_csv(tmp_path_factory.mktemp("news") / "news.csv", articles(150))


@pytest.fixture(scope="session")
def tagged_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 articles with any number of three topics."""
    return write_csv(tmp_path_factory.mktemp("tagged") / "tagged.csv", tagged_articles(150))


@pytest.fixture(scope="session")
def tree_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 articles on the leaves of a tree of topics."""
    paths = {"business": "money/business", "sport": "leisure/sport", "tech": "money/tech"}
    rows = [row | {"label": paths[row["label"]]} for row in articles(150)]
    return write_csv(tmp_path_factory.mktemp("tree") / "tree.csv", rows)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a base: BERT with two layers of width 32, random weights and a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    words = sorted({word for topic in TOPICS.values() for word in topic} | set(FILLER))
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = Lowercase()
    backend.pre_tokenizer = Whitespace()
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        pad_token_id=0,
    )
    BertModel(config).save_pretrained(folder)
    # Each training collects garbage three times, which takes 0.3 s with all objects of torch and transformers.
    gc.collect()
    gc.freeze()
    return folder


@pytest.fixture(scope="session")
def masked_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny BERT with a mask token, dropout, and mean pooling in its configuration."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "tiny-masked-bert"
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.save_pretrained(folder)
    model = BertModel(BertConfig.from_pretrained(tiny_base))
    model.load_state_dict(BertModel.from_pretrained(tiny_base).state_dict())
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder


#: Two layers of width 32, with the keys of BERT.
SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}

#: Configurations of small encoders by model type.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL,
    "deberta-v2": SMALL
    | {"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"], "share_att_key": True}
    | {"norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0},
    "distilbert": {"n_layers": 2, "dim": 32, "hidden_dim": 64, "n_heads": 4},
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4},
    "albert": SMALL | {"embedding_size": 16},
}


@pytest.fixture(scope="session")
def family_base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Callable[[str], Path]:
    """Function from a model type to the folder of a base with random weights and the tokenizer of `tiny_base`."""
    import torch
    from transformers import AutoConfig, AutoModel

    root = tmp_path_factory.mktemp("families")

    def base(family: str) -> Path:
        folder = root / family
        if not folder.exists():
            words = len(json.loads((tiny_base / "tokenizer.json").read_text())["model"]["vocab"])
            positions = {"n_positions": 64} if family == "gpt2" else {"max_position_embeddings": 64}
            # The default ids of GPT-2 are not in a vocabulary of this size.
            settings = {"vocab_size": words, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, **positions}
            torch.manual_seed(0)
            config = AutoConfig.for_model(family, initializer_range=0.2, **settings, **FAMILIES[family])
            AutoModel.from_config(config).save_pretrained(folder)
            for path in tiny_base.glob("tokenizer*"):
                shutil.copy(path, folder)
        return folder

    return base


def torch_predictor(model: Any, tokenizer: Any, truncation: Any, limits: Any) -> Any:
    """A predictor for a model in memory, in float32."""
    from slugline.inference.transformer import TransformerPredictor
    from slugline.models.forward import predict_logits

    options = {"pad_id": int(tokenizer.pad_token_id), "precision": "fp32", "limits": limits}
    return TransformerPredictor(tokenizer, truncation, lambda tokens: predict_logits(model, tokens, **options))


def with_changes(values: dict[str, Any], **changes: dict[str, Any]) -> Recipe:
    """A recipe with other values of some keys."""
    changed = deepcopy(values)
    for section, keys in changes.items():
        changed[section] = changed.get(section, {}) | keys
    return validate(changed)


def linear(values: dict[str, Any], **train: Any) -> Recipe:
    """A recipe of the linear kind with the same data."""
    return validate({**values, "model": {"kind": "linear"}, "train": train})


def everything(path: Path) -> dict[str, Any]:
    """All metrics of a run without timing."""
    metrics: dict[str, Any] = json.loads((path / "metrics.json").read_text())
    del metrics["timing"]
    for fold in metrics.get("folds", []):
        del fold["seconds"]
    return metrics


@contextmanager
def interrupted_after(updates: int) -> Iterator[None]:
    """Raise KeyboardInterrupt after a number of updates of the training in the block."""
    from slugline.training.loop.callbacks import HistoryWriter

    class Stop(HistoryWriter):
        def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
            super().on_step_end(args, state, control, **options)
            if state.global_step == updates:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("slugline.training.loop.session.HistoryWriter", Stop)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def recipe_values(news_csv: Path, tiny_base: Path) -> dict[str, Any]:
    """Values of a recipe that trains the tiny model in a second or two; tests may change them."""
    return {
        "name": "tiny",
        "data": {"path": str(news_csv), "max_length": 32},
        "model": {"base": str(tiny_base), "pooling": "mean"},
        "train": {
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "head_learning_rate": 5e-2,
            "precision": "fp32",
            "logging_steps": 2,
            "threads": 1,
        },
        "evaluation": {"bootstrap": 50},
    }


#: Two blocks of width 32, with the keys of Llama and similar models.
LLAMA = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
#: Configurations of small causal models by model type.
DECODERS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4},
    "gpt_neo": {"num_layers": 2, "hidden_size": 32, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    "gpt_neox": LLAMA,
    "phi": LLAMA,
    "qwen2": LLAMA | {"num_key_value_heads": 2},
    "llama": LLAMA | {"num_key_value_heads": 2},
}


@pytest.fixture(scope="session")
def decoder_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Function from a model type to the folder of a base with random weights and a tokenizer without padding token."""
    import torch
    from transformers import AutoConfig, AutoModel

    from slugline.models.tokenizers import END, train_tokenizer

    root = tmp_path_factory.mktemp("decoders")
    tokenizer = train_tokenizer([row["text"] for row in articles(100)], "bpe", vocabulary_size=330)
    backend = tokenizer.backend_tokenizer

    def base(family: str) -> Path:
        folder = root / family
        if not folder.exists():
            config = AutoConfig.for_model(
                family, vocab_size=330, max_position_embeddings=64, initializer_range=0.2, **DECODERS[family]
            )
            # Like GPT-2: no padding token. Its entry in the vocabulary is renamed below.
            config.pad_token_id, config.eos_token_id, config.bos_token_id = None, 1, 1
            torch.manual_seed(0)
            AutoModel.from_config(config).save_pretrained(folder)
            text = backend.to_str().replace('"<|pad|>"', '"<|first|>"')
            (folder / "tokenizer.json").write_text(text)
            (folder / "tokenizer_config.json").write_text(
                f'{{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "{END}", "bos_token": "{END}"}}'
            )
        return folder

    return base
