"""Examples cut into splits: those that sources do not bring, and a part of train to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from slugline.core.labels import Split
from slugline.data.findings import MAX_EXAMPLES, Finding
from slugline.data.preparing.assign_splits import split_rows, subset
from slugline.data.preparing.examples import ORDER, Examples, Parts, join_examples


def cut_splits(
    parts: Parts, *, fractions: Sequence[Mapping[Split, float]], seed: int, clusters: Sequence[Sequence[int]]
) -> tuple[dict[Split, Examples], list[Finding]]:
    """Cut the splits that sources do not bring off their own rows of train, so that every source is in every split.

    Args:
        parts: examples by split.
        fractions: of each source, those of the splits to cut.
        seed: data.split_seed.
        clusters: indices into train that stay on one side; those over several sources stay in train.

    Returns:
        All splits, and findings about classes that a new split has no row of.
    """
    train = parts["train"]
    cut: dict[Split, list[int]] = {}
    for wanted in [some for number, some in enumerate(fractions) if some and some not in fractions[:number]]:
        strata = [
            (label, origin) if fractions[origin] == wanted else None
            for label, origin in zip(train.labels, train.origins, strict=True)
        ]
        indices = split_rows(train.ids, train.labels, fractions=wanted, seed=seed, clusters=clusters, strata=strata)
        for split in wanted:
            cut[split] = sorted([*cut.get(split, []), *indices[split]])
    result = {split: [part] for split, part in parts.items()}
    result["train"] = [train.without([index for some in cut.values() for index in some])]
    for split, some in cut.items():
        result.setdefault(split, []).append(train.take(some))
    whole = {split: join_examples(result[split]) for split in ORDER if split in result}
    return whole, _report_absent(train.labels, {split: whole[split] for split in whole if split in cut}, len(fractions))


def _report_absent(labels: Sequence[str], cut: Parts, n_sources: int) -> list[Finding]:
    """Findings about classes that a split should have had a row of."""
    counts = Counter(labels)
    findings = []
    single = sorted(label for label, count in counts.items() if count == 1)
    if single:
        message = f"classes of one row, which stays in train: {{count}} ({', '.join(single[:MAX_EXAMPLES])})"
        findings.append(Finding.of("single row", single, message, is_warning=True))
    why = "near duplicates or bear several labels" + (", or are few in each source" if n_sources > 1 else "")
    for split, part in cut.items():
        absent = sorted(set(counts) - set(part.labels) - set(single))
        if absent:
            message = f"classes without a row in {split}, for theirs are {why}: {{count}}"
            findings.append(Finding.of("class not split", absent, message, is_warning=True))
    return findings


def report_sources(parts: Parts, names: Sequence[str]) -> list[Finding]:
    """Where the rows of each split came from, if from several sources.

    Args:
        parts: examples by split.
        names: of the sources.

    Returns:
        A finding for each source.
    """
    counts = {split: Counter(part.origins) for split, part in parts.items()}
    findings = []
    for origin, name in enumerate(names if len(names) > 1 else ()):
        described = ", ".join(f"{split} {counts[split][origin]:,}" for split in parts)
        findings.append(
            Finding("source", sum(some[origin] for some in counts.values()), f"rows of {name}: {described}")
        )
    return findings


def pool_validation(parts: Parts) -> dict[Split, Examples]:
    """Validation rows as rows of train, for a cross-validation, which holds all of them out in turn."""
    pool = join_examples([parts[split] for split in ("train", "validation") if split in parts])
    return {"train": pool, **({"test": parts["test"]} if "test" in parts else {})}


def take_subset(parts: Parts, *, size: float, seed: int) -> tuple[dict[Split, Examples], list[Finding]]:
    """Train on a stratified part: a number of rows, or below 1 a share; 0 = all."""
    train = parts["train"]
    some = subset(train.ids, train.labels, size=size, seed=seed)
    if len(some) == len(train):
        return dict(parts), []
    message = f"train rows taken, as asked: {len(some):,} of {len(train):,}"
    return {**parts, "train": train.take(some)}, [Finding("subset", len(some), message)]
