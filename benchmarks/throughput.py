"""Training throughput of decoders, as a share of the throughput of square matrix products on this machine.

The small decoder (size small) and a decoder of the size of GPT-2, both with random weights, are trained on random
tokens: forward pass, backward pass and AdamW, with the precision and number of texts per forward pass of the hardware's
profile. Operations are counted as in PaLM (Chowdhery et al. 2022, appendix B): 6 per token and weight outside the
embeddings, and 12 per layer, unit of width, and pair of tokens. The peak is measured in the same precision.

    python benchmarks/throughput.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from transformers import AutoModel, GPT2Config, PretrainedConfig, PreTrainedModel

from slugline.core.hardware import Precision, choose_precision, choose_profile, detect
from slugline.models.architectures.small_decoder import ScratchConfig
from slugline.models.forward import DTYPES, autocast

LENGTH = 128
CLASSES = 4
SECONDS = 10.0
#: Sides of the square matrices; the fastest product is the peak.
SIDES = (1024, 2048, 4096, 8192)
SMALL = ScratchConfig(vocab_size=10_000, pad_token_id=0, dropout=0.0, attention_dropout=0.0)
GPT2 = GPT2Config(pad_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)


def main() -> None:
    """Measure and print the results."""
    hardware = detect()
    profile, precision = choose_profile(hardware), choose_precision(hardware).precision
    device = torch.device(hardware.device)
    rows = max(1, min(profile.micro_batch_size, profile.micro_batch_tokens // LENGTH))
    peak = max(product_speed(side, device, precision) for side in SIDES[: 2 if device.type == "cpu" else None])
    print(f"{hardware.device_name}, {precision}, {rows} texts of {LENGTH} tokens per forward pass")
    print(f"matrix products: {peak / 1e12:.2f} TFLOP/s")
    for name, config in (("small decoder", SMALL), ("GPT-2's size", GPT2)):
        model = AutoModel.from_config(config).to(device).train()
        tokens = training_speed(model, device, precision, rows)
        share = tokens * operations(model, config) / peak
        print(f"{name}: {model.num_parameters():,} parameters, {tokens:,.0f} tokens/s, {share:.1%} of the peak")


def product_speed(side: int, device: torch.device, precision: Precision) -> float:
    """Return the operations per second of a square matrix product."""
    left, right = (torch.randn(side, side, device=device, dtype=DTYPES[precision]) for _ in range(2))
    return 2 * side**3 * repetitions(lambda: left @ right, device)


def training_speed(model: PreTrainedModel, device: torch.device, precision: Precision, rows: int) -> float:
    """Return the tokens per second of complete updates."""
    head = torch.nn.Linear(model.config.hidden_size, CLASSES, device=device)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-4)
    ids = torch.randint(1, model.config.vocab_size, (rows, LENGTH), device=device)
    labels = torch.randint(CLASSES, (rows,), device=device)
    mask = torch.ones_like(ids)

    def update() -> None:
        with autocast(device, precision):
            logits = head(model(input_ids=ids, attention_mask=mask).last_hidden_state.mean(dim=1))
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return rows * LENGTH * repetitions(update, device)


def operations(model: PreTrainedModel, config: PretrainedConfig) -> float:
    """Return the floating-point operations of a forward and backward pass per token."""
    embeddings = sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Embedding))
    weights = model.num_parameters() - embeddings
    return 6 * weights + 12 * config.num_hidden_layers * config.hidden_size * LENGTH


def repetitions(work: Callable[[], object], device: torch.device) -> float:
    """Return the repetitions of a function per second, after a warm-up."""

    def seconds(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        elif device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter() - started

    seconds(2)
    count = max(1, round(SECONDS / 10 / seconds(1)))
    return max(count / seconds(count) for _ in range(3))


if __name__ == "__main__":
    main()
