"""Augmentations by models: near words of an embedding, a masked language model, paraphrases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from slugline.core.errors import ModelError
from slugline.models.pretrained import load_weights, resolve_base
from slugline.models.tokenizers import load_tokenizer
from slugline.models.trial import longest_input
from slugline.training.methods.augmentation import Augmentation, AugmentationOptions, chosen_words

#: Nearest words, or most probable tokens, one of which replaces a word.
CANDIDATES = 5

#: Texts in one pass of a model.
TEXTS_AT_ONCE = 32

#: A word without punctuation, digits or signs of subwords.
WORD = re.compile(r"[^\W\d_]{2,}")


def build_neighbours(options: AugmentationOptions) -> Augmentation:
    """Build the augmentation that replaces words by near words in the table of word embeddings of a model.

    Args:
        options: its options.

    Returns:
        The augmentation; only words that are one token are replaced, by words that are one token.

    Raises:
        ModelError: the model cannot be loaded.
    """
    tokenizer, model = _tokenizer(options), _load(AutoModel, options)
    table: Tensor = model.get_input_embeddings().weight.detach().float()  # type: ignore[operator]
    vectors = torch.nn.functional.normalize(table, dim=1)
    words = {
        token: str(tokenizer.decode([token])).strip()
        for token in range(min(len(tokenizer), len(vectors)))
        if token not in tokenizer.all_special_ids
    }
    # A subword decodes to text that has another token as a word of its own.
    ids = {
        word: token for token, word in words.items() if WORD.fullmatch(word) and _only_token(tokenizer, word) == token
    }
    names, tokens = list(ids), torch.tensor(list(ids.values()), device=vectors.device, dtype=torch.int64)

    def near(word: str, rng: np.random.Generator) -> str:
        token = ids.get(word, ids.get(word.lower()))
        if token is None or len(names) < 2:
            return word
        similarities = vectors[tokens] @ vectors[token]
        nearest = similarities.topk(min(CANDIDATES + 1, len(names))).indices.tolist()
        others = [names[index] for index in nearest if ids[names[index]] != token]
        return str(others[int(rng.integers(len(others)))])

    def replace(text: str, rng: np.random.Generator) -> str:
        parts = text.split()
        known = [index for index, part in enumerate(parts) if part in ids or part.lower() in ids]
        for position in chosen_words(len(known), options.share, rng):
            parts[known[position]] = near(parts[known[position]], rng)
        return " ".join(parts)

    return lambda texts, rng: [replace(text, rng) for text in texts]


def _only_token(tokenizer: PreTrainedTokenizerBase, word: str) -> int | None:
    """The token of a word between other words; None if it has several."""
    ids: list[int] = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
    return ids[0] if len(ids) == 1 else None


def build_masked(options: AugmentationOptions) -> Augmentation:
    """Build the augmentation that masks tokens, and fills them with others that a masked language model finds probable.

    Args:
        options: its options.

    Returns:
        The augmentation; texts are cut to the input of the model.

    Raises:
        ModelError: the model cannot be loaded, or is not a masked language model.
    """
    tokenizer, model = _tokenizer(options), _load(AutoModelForMaskedLM, options)
    if tokenizer.mask_token_id is None:
        raise ModelError(
            f"{options.model}: the tokenizer has no mask token, which data.augment 'masked' needs.", hint=_OTHER_MODEL
        )
    longest, specials = longest_input(model, tokenizer), set(tokenizer.all_special_ids)

    def fill(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
        batch = tokenizer(
            list(texts), padding=True, truncation=longest is not None, max_length=longest, return_tensors="pt"
        ).to(model.device)
        originals, ids = batch["input_ids"].clone(), batch["input_ids"]
        chosen: list[tuple[int, int]] = []
        for row, tokens in enumerate(ids.tolist()):
            ordinary = [place for place, token in enumerate(tokens) if token not in specials]
            chosen += [(row, ordinary[index]) for index in chosen_words(len(ordinary), options.share, rng)]
        for row, place in chosen:
            ids[row, place] = tokenizer.mask_token_id
        with torch.no_grad():
            logits = model(**batch).logits.float()
        logits[:, :, sorted(specials)] = -torch.inf
        for row, place in chosen:
            scores = logits[row, place]
            scores[originals[row, place]] = -torch.inf
            best = scores.topk(min(CANDIDATES, len(scores) - len(specials) - 1))
            shares = best.values.softmax(dim=0).double().cpu().numpy()
            ids[row, place] = best.indices[int(rng.choice(len(shares), p=shares / shares.sum()))]
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]

    return lambda texts, rng: [text for part in _parts(texts) for text in fill(part, rng)]


def build_paraphrase(options: AugmentationOptions) -> Augmentation:
    """Build the augmentation that lets a sequence-to-sequence model write texts again.

    Args:
        options: its options.

    Returns:
        The augmentation.

    Raises:
        ModelError: the model cannot be loaded, or is not a sequence-to-sequence model.
    """
    tokenizer, model = _tokenizer(options), _load(AutoModelForSeq2SeqLM, options)

    def paraphrase(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
        batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(model.device)
        # The global random state decides about dropout in the training, and is restored.
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(int(rng.integers(2**31)))
            written = model.generate(  # type: ignore[operator]
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=True,
                top_p=0.95,
                max_new_tokens=2 * batch["input_ids"].shape[1],
            )
        return [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]

    return lambda texts, rng: [text for part in _parts(texts) for text in paraphrase(part, rng)]


#: Advice for a model that does not fit an augmentation.
_OTHER_MODEL = "Name another model in data.augment_models, or leave the augmentation out."


def _tokenizer(options: AugmentationOptions) -> PreTrainedTokenizerBase:
    if not options.model:
        raise ModelError(
            "data.augment needs a model, but model.base is empty.", hint="Name one in data.augment_models."
        )
    return load_tokenizer(options.model)


def _load(auto: type, options: AugmentationOptions) -> PreTrainedModel:
    """The model of an augmentation, complete with the weights of its head."""
    loaded = load_weights(auto.from_pretrained, resolve_base(options.model), dtype=torch.float32)  # type: ignore[attr-defined]
    pooler = {name for name in loaded.new if "pooler" in name}
    if loaded.new - pooler:
        raise ModelError(
            f"{options.model} lacks weights of a {auto.__name__.removeprefix('AutoModelFor')} model: "
            f"{', '.join(sorted(loaded.new - pooler)[:3])}.",
            hint=_OTHER_MODEL,
        )
    model: PreTrainedModel = loaded.model.to(options.device).eval()  # type: ignore[arg-type]
    return model


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        yield texts[start : start + TEXTS_AT_ONCE]
