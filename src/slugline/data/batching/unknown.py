"""Unknown tokens: what a tokenizer cannot represent, for example because it belongs to another model or language."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from slugline.core.errors import ModelError
from slugline.data.batching.tokens import Tokens
from slugline.data.findings import Finding

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

#: Share of unknown tokens above which there is a finding, and share above which nothing can be learned.
NOTICEABLE, UNUSABLE = 0.01, 0.5


def unknown_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the id of the unknown token; None for tokenizers that need none, such as byte-level ones.

    Args:
        tokenizer: any tokenizer; its own model may have an unknown token that its configuration does not name.

    Returns:
        The id.
    """
    if tokenizer.unk_token_id is not None:
        return int(tokenizer.unk_token_id)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    model: dict[str, Any] = json.loads(backend.to_str())["model"] if backend else {}
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    return backend.token_to_id(token) if backend and token else None


def unknown_share(tokens: Tokens, unknown: int | None) -> float:
    """Return the share of unknown tokens; a text without any token counts as one unknown token.

    Args:
        tokens: tokenised texts, none of which is empty.
        unknown: id of the unknown token, or None.

    Returns:
        A share between 0 and 1.
    """
    # A tokenizer without an unknown token may drop what it does not know.
    empty = int((tokens.arrays.lengths == 0).sum())
    total = int(tokens.arrays.lengths.sum()) + empty
    return (_count(tokens, unknown) + empty) / total if total else 0.0


def _count(tokens: Tokens, unknown: int | None) -> int:
    return 0 if unknown is None else sum(int((ids == unknown).sum()) for ids in tokens.arrays.chunks())


def check_unknown_tokens(tokens: Mapping[str, Tokens], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Refuse texts that consist of unknown tokens, and report a noticeable share of them.

    Args:
        tokens: tokenised texts by split.
        tokenizer: their tokenizer.

    Returns:
        Findings for ``data.json``.

    Raises:
        ModelError: more than half of the tokens of a split are unknown.
    """
    unknown, findings = unknown_id(tokenizer), []
    for split, split_tokens in tokens.items():
        share = unknown_share(split_tokens, unknown)
        message = f"{share:.1%} of the tokens of the {split} texts are unknown to the tokenizer"
        if share > UNUSABLE:
            raise ModelError(
                f"{message} ({type(tokenizer).__name__}, {len(tokenizer):,} tokens).",
                hint="Check model.base and model.tokenizer: is this the tokenizer of this model, and does it know this "
                "language and script? Set model.tokenizer to another one.",
            )
        if share > NOTICEABLE:
            count = _count(split_tokens, unknown)
            findings.append(Finding("unknown_tokens", count, f"{message}.", is_warning=True))
            logger.warning("%s. Check model.tokenizer and data.clean.", message)
    return [{**asdict(finding), "examples": list(finding.examples)} for finding in findings]
