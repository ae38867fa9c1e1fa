"""Results of a study, read from its run folders: members, settings over their seeds, the chosen setting; as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from slugline.core.errors import RunError
from slugline.evaluation.comparison.alignment import rows_digest
from slugline.evaluation.comparison.compare import Comparison
from slugline.evaluation.metrics import numbers_in
from slugline.run.run import Run, State
from slugline.workflows.study.plan import Member, Setting, Study

#: Version of study.json.
FORMAT = 1


@dataclass(frozen=True)
class Spread:
    """A metric over the seeds of a setting.

    Args:
        n: number of seeds.
        mean: mean of the values.
        sd: sample standard deviation; None for a single value.
        min: smallest value.
        max: largest value.
    """

    n: int
    mean: float
    sd: float | None
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        sd = statistics.stdev(values) if len(values) > 1 else None
        return cls(len(values), statistics.fmean(values), sd, min(values), max(values))

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.sd is None else f" ± {self.sd:.4f}")


@dataclass(frozen=True)
class MemberResult:
    """State and scores of a member.

    Args:
        member: member of the study.
        state: state of its run.
        split: split of the metrics: ``validation``, or ``out_of_fold`` of a cross-validation; empty until complete.
        metrics: metrics on that split; empty until it is complete.
        seconds: duration of the run.
        error: message of a failed run.
        rows: number of rows and classes of the split, and a checksum of ids and labels; empty until it is complete.
    """

    member: Member
    state: State
    split: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    rows: str = ""

    @classmethod
    def of(cls, member: Member, *, error: str = "") -> MemberResult:
        """Read the run folder of a member.

        Args:
            member: member of the study.
            error: error of an attempt that left no folder.

        Returns:
            The present result.
        """
        run = Run(member.path)
        state: State = "failed" if error else run.state
        manifest = run.manifest if run.layout.is_run() else {}
        seconds = manifest.get("seconds", 0.0)
        if state != "complete":
            return cls(member, state, seconds=seconds, error=error or manifest.get("error", ""))
        metrics = run.metrics
        split = "validation" if "validation" in metrics else "out_of_fold"
        return cls(
            member,
            state,
            split,
            {metric.name: metrics[split][metric.name] for metric in numbers_in(metrics[split])},
            seconds,
            rows=_rows(run, split),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "step": self.member.setting.step,
            "setting": self.member.setting.title,
            "overrides": self.member.setting.overrides,
            "seed": self.member.recipe.seed,
            "state": self.state,
            "run": str(self.member.path),
            **({self.split: dict(self.metrics)} if self.split else {}),
            "seconds": self.seconds,
            **({"error": self.error} if self.error else {}),
        }


@dataclass(frozen=True)
class SettingResult:
    """The results of one setting, one for each seed.

    Args:
        setting: setting of the study.
        members: one result for each seed.
    """

    setting: Setting
    members: tuple[MemberResult, ...]

    @property
    def is_complete(self) -> bool:
        """True if all its members are complete; only then the setting can be chosen."""
        return all(member.state == "complete" for member in self.members)

    @property
    def state(self) -> str:
        """State of all members; if they differ, the number of members in each state."""
        states = [member.state for member in self.members]
        if len(set(states)) == 1:
            return states[0]
        return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))

    def spread(self, metric: str) -> Spread | None:
        """Return the spread of a metric on validation over the complete members; None if there are none."""
        values = [member.metrics[metric] for member in self.members if member.metrics]
        return Spread.of(values) if values else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        names = next((list(member.metrics) for member in self.members if member.metrics), [])
        spreads = {name: spread for name in names if (spread := self.spread(name))}
        return {
            "step": self.setting.step,
            "setting": self.setting.title,
            "overrides": self.setting.overrides,
            "state": self.state,
            "n": sum(bool(member.metrics) for member in self.members),
            **({next(filter(None, (each.split for each in self.members))): _as_dicts(spreads)} if spreads else {}),
        }


@dataclass(frozen=True)
class StudyResult:
    """The result of a study.

    Args:
        study: study that was run.
        members: results of the members, in the order of the study.
        test: metrics of the chosen setting on test, by seed, as in ``metrics.json``; empty before the end, and if there
            are no test rows.
        comparison: comparison of the chosen setting with the second best on validation, over all seeds; None if there
            is no second one.
        failures: errors after training, one line each.
    """

    study: Study
    members: tuple[MemberResult, ...]
    test: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    comparison: Comparison | None = None
    failures: tuple[str, ...] = ()

    def __repr__(self) -> str:
        complete = sum(member.state == "complete" for member in self.members)
        chosen = f", chosen {self.chosen.setting.title}" if self.chosen else ""
        return f"<StudyResult {self.study.file.name}: {complete} of {len(self.members)} members complete{chosen}>"

    @property
    def settings(self) -> list[SettingResult]:
        """Settings in the order of the study."""
        grouped = groupby(self.members, key=lambda result: result.member.setting)
        return [SettingResult(setting, tuple(members)) for setting, members in grouped]

    @property
    def ranking(self) -> list[SettingResult]:
        """Complete settings, the best on validation first; equal settings keep their order.

        Empty if complete members were scored on different rows: their metrics cannot be compared.
        """
        if self.differing_rows:
            return []
        metric = self.study.chosen_by
        return sorted(
            (setting for setting in self.settings if setting.is_complete),
            key=lambda setting: _mean(setting, metric.name),
            reverse=metric.greater_is_better,
        )

    @property
    def differing_rows(self) -> str:
        """A sentence if complete members were scored on different rows, with the members of each set of rows."""
        by_rows: dict[str, list[str]] = {}
        for result in self.members:
            if result.rows:
                by_rows.setdefault(result.rows, []).append(result.member.title)
        if len(by_rows) < 2:
            return ""
        groups = "; ".join(f"{rows.rpartition(' ')[0]}: {_listed(titles)}" for rows, titles in by_rows.items())
        return (
            f"The members were scored on different validation rows and are not ranked: {groups}. Give them the same "
            "keys of [data] and train.folds; if the data has changed, train all of them again with --force."
        )

    @property
    def reason_for_no_choice(self) -> str:
        """Reason why no setting is chosen; empty if one is."""
        if self.chosen is not None:
            return ""
        return self.differing_rows or "No setting is chosen, because none is complete with all its seeds."

    @property
    def is_over(self) -> bool:
        """True if every member is complete or failed."""
        return all(member.state in ("complete", "failed") for member in self.members)

    @property
    def chosen(self) -> SettingResult | None:
        """The best complete setting; None until every member is complete or failed."""
        return self.ranking[0] if self.is_over and self.ranking else None

    def test_spread(self, metric: str) -> Spread:
        """Return the spread of a metric of the chosen setting on test."""
        return Spread.of([metrics[metric] for metrics in self.test.values()])

    def require_success(self) -> None:
        """Raise the failures.

        Raises:
            RunError: a member failed, or a step after training did.
        """
        failed = [member for member in self.members if member.state == "failed"]
        lines = [f"{member.member.title}: {member.error}" for member in failed] + list(self.failures)
        if lines:
            raise RunError(
                f"{len(failed)} of {len(self.members)} members failed.\n" + "\n".join(lines),
                hint="Run the same command to try them again; complete members are kept.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of ``study.json``."""
        return {
            "format": FORMAT,
            "name": self.study.file.name,
            "recipe": str(self.study.recipe),
            "set": self.study.file.set,
            "chosen_by": self.study.chosen_by.name,
            "members": [member.to_dict() for member in self.members],
            "settings": [setting.to_dict() for setting in self.settings],
            "chosen": self._chosen_to_dict(),
            "reason_for_no_choice": self.reason_for_no_choice,
            "comparison": self.comparison.to_dict() if self.comparison else None,
            "failures": list(self.failures),
        }

    def _chosen_to_dict(self) -> dict[str, Any] | None:
        if self.chosen is None:
            return None
        chosen = self.chosen.to_dict() | {"runs": [str(result.member.path) for result in self.chosen.members]}
        if not self.test:
            return chosen
        spreads = {metric.name: self.test_spread(metric.name) for metric in numbers_in(next(iter(self.test.values())))}
        by_seed = {str(seed): dict(_single_numbers(metrics)) for seed, metrics in self.test.items()}
        return chosen | {"test": _as_dicts(spreads), "test_by_seed": by_seed}


def _rows(run: Run, split: str) -> str:
    """Number and checksum of the rows that a member was scored on."""
    if not run.layout.predictions(split).is_file():
        return ""
    predictions = run.predictions(split)
    return f"{len(predictions):,} rows of {split} with {len(predictions.labels)} classes {rows_digest(predictions)}"


def _listed(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{titles[0]} and {len(titles) - 1} more"


def _mean(setting: SettingResult, metric: str) -> float:
    spread = setting.spread(metric)
    assert spread is not None  # the setting is complete
    return spread.mean


def _as_dicts(spreads: Mapping[str, Spread]) -> dict[str, Any]:
    return {name: asdict(spread) for name, spread in spreads.items()}


def _single_numbers(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Numbers and confidence intervals of a split; the other metrics are only in the runs."""
    for name in (*(metric.name for metric in numbers_in(metrics)), "support", "confidence_intervals"):
        if name in metrics:
            yield name, metrics[name]
