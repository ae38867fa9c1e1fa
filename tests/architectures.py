"""Tiny models of every architecture that transformers can classify texts with, with random weights."""

from __future__ import annotations

from typing import Any

#: Small values of the keys that configurations have; keys that a configuration lacks are left out.
SMALL: dict[str, Any] = {
    **dict.fromkeys("vocab_size vocab_size_per_layer_input entity_vocab_size".split(), 96),
    **dict.fromkeys("max_position_embeddings n_positions".split(), 48),
    **dict.fromkeys(
        "hidden_size d_model dim n_embd embedding_size emb_dim word_embed_proj_dim entity_emb_size".split(), 32
    ),
    **dict.fromkeys("num_hidden_layers num_layers n_layers n_layer encoder_layers decoder_layers".split(), 2),
    **dict.fromkeys("num_decoder_layers first_k_dense_replace".split(), 2),
    **dict.fromkeys("num_attention_heads n_heads n_head num_heads encoder_attention_heads".split(), 4),
    **dict.fromkeys("decoder_attention_heads num_key_value_heads num_kv_heads".split(), 4),
    **dict.fromkeys("intermediate_size hidden_dim d_ff d_inner n_inner dff ffn_hidden_size".split(), 64),
    **dict.fromkeys("encoder_ffn_dim decoder_ffn_dim ffn_dim".split(), 64),
    **dict.fromkeys("d_kv d_head head_dim rotary_dim q_lora_rank kv_lora_rank v_head_dim".split(), 8),
    **dict.fromkeys("num_experts num_local_experts n_routed_experts".split(), 4),
    **dict.fromkeys("num_experts_per_tok n_group topk_group n_shared_experts".split(), 1),
    "moe_intermediate_size": 32,
    "bos_token_id": 0,
    "cls_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "sep_token_id": 2,
    "decoder_start_token_id": 2,
    "initializer_range": 0.2,
    "init_std": 0.2,
}

#: Values that the small ones contradict.
SPECIAL: dict[str, dict[str, Any]] = {
    **{name: {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8} for name in ("axk1", "deepseek_v3")},
    **{name: {"num_hidden_layers": 8} for name in ("jamba", "qwen3_5_text", "qwen3_next")},
    "falcon": {"head_dim": None},
    "funnel": {"block_sizes": [1, 1, 1], "num_hidden_layers": None},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "lilt": {"max_2d_position_embeddings": 48, "channel_shrink_ratio": 4, "hidden_size": 48},
    "longformer": {"attention_window": 4},
    "mobilebert": {"true_hidden_size": 32, "intra_bottleneck_size": 32},
    "opt": {"word_embed_proj_dim": 16},  # as opt-350m, whose states become narrower after the last block
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "local"], "attention_head_size": 8},
    "rembert": {"input_embedding_size": 32, "output_embedding_size": 32},
    "squeezebert": {f"{part}_groups": 1 for part in "q k v post_attention intermediate output".split()},
    "t5": {"decoder_start_token_id": 1},
    "xlnet": {"max_position_embeddings": None},
    "xmod": {"default_language": "en_XX"},
}

#: Architectures that cannot be made tiny, or need more than tokens.
LEFT_OUT = {
    **dict.fromkeys("gemma3 modernvbert perceiver qwen3_5 t5gemma t5gemma2 ultravbert roc_bert".split(), "large"),
    **dict.fromkeys("layoutlmv2 layoutlmv3".split(), "reads images"),
    **dict.fromkeys("cohere_compass_text mistral4 zamba zamba2".split(), "keys that depend on each other"),
}

#: Architectures whose logits depend on the padding: convolutions, Fourier transforms, and pooling over neighbours.
PADDING_MATTERS = ("canine", "convbert", "fnet", "funnel", "nystromformer", "yoso")


def architectures() -> list[str]:
    """Model types with a sequence-classification class, without those in `LEFT_OUT`."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    return sorted(set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES) - set(LEFT_OUT))


def tiny_config(model_type: str, **keys: Any) -> Any:
    """A configuration of a tiny model for the tokens of `tiny_tokenizer`."""
    from transformers import AutoConfig

    default = AutoConfig.for_model(model_type)
    same = getattr(type(default), "attribute_map", {})
    values = {key: value for key, value in SMALL.items() if hasattr(default, key) and same.get(key) not in SMALL}
    values |= SPECIAL.get(model_type, {}) | keys
    return AutoConfig.for_model(model_type, **{key: value for key, value in values.items() if value is not None})


def tiny_model(model_type: str, auto_class: str = "AutoModelForSequenceClassification", **keys: Any) -> Any:
    """A tiny model with random weights, in evaluation mode."""
    import torch
    import transformers

    torch.manual_seed(0)
    return getattr(transformers, auto_class).from_config(tiny_config(model_type, **keys)).eval()


def tiny_tokenizer() -> Any:
    """A tokenizer of 96 words that adds ``<s>`` and ``</s>`` to a text, and states no longest text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{index}" for index in range(92))]
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    backend.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
