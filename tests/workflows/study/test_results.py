"""Results of studies: ranking, spreads, and the choice of a complete setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from slugline.core.errors import RunError
from slugline.evaluation.metrics import METRICS
from slugline.recipe.recipe import validate
from slugline.run.lifecycle import open_run
from slugline.run.run import State
from slugline.workflows.study.plan import GridStep, Member, Setting, Study
from slugline.workflows.study.results import MemberResult, Spread, StudyResult
from slugline.workflows.study.schema import StudyFile


def member(step: str, seed: int = 13, *, path: Path = Path("nowhere")) -> Member:
    return Member(Setting(step, "", {}), validate({"name": "x", "seed": seed, "data": {"name": "bbc_news"}}), path)


def result_of(values: dict[str, list[float | None]], *, chosen_by: str) -> StudyResult:
    """A study whose members have one value for all metrics; None for a member that failed."""
    members = tuple(
        MemberResult(member(step, seed), "failed", error="broken")
        if value is None
        else MemberResult(member(step, seed), "complete", "validation", dict.fromkeys(METRICS, value))
        for step, of_step in values.items()
        for seed, value in enumerate(of_step)
    )
    file = StudyFile.model_validate({"name": "s", "recipe": "r", "step": [{"name": step} for step in values]})
    study = Study(
        Path("s"),
        file,
        Path("r"),
        METRICS[chosen_by],
        (13,),
        tuple(GridStep(step, METRICS[chosen_by]) for step in file.step),
    )
    return StudyResult(study, members)


@pytest.mark.parametrize(("chosen_by", "chosen"), [("f1_macro", "high"), ("loss", "low")])
def test_the_best_value_depends_on_the_metric(chosen_by: str, chosen: str) -> None:
    result = result_of({"middle": [0.5, 0.6], "low": [0.1, 0.2], "high": [0.8, 0.7]}, chosen_by=chosen_by)
    assert result.chosen is not None
    assert result.chosen.setting.step == chosen
    assert [setting.setting.step for setting in result.ranking][1] == "middle"


def test_settings_are_ranked_by_their_mean_and_equal_ones_keep_their_order() -> None:
    result = result_of({"lucky": [0.9, 0.1], "steady": [0.6, 0.6], "equal": [0.6, 0.6]}, chosen_by="accuracy")
    assert [setting.setting.step for setting in result.ranking] == ["steady", "equal", "lucky"]


def test_a_setting_with_a_failed_member_is_not_chosen() -> None:
    result = result_of({"best": [0.9, None], "complete": [0.5, 0.5]}, chosen_by="accuracy")
    assert result.chosen is not None
    assert result.chosen.setting.step == "complete"
    assert result.settings[0].state == "1 complete, 1 failed"
    with pytest.raises(RunError, match=r"1 of 4 members failed\.\nbest seed 1: broken"):
        result.require_success()
    assert result_of({"only": [0.9, None]}, chosen_by="accuracy").chosen is None


def test_nothing_is_chosen_while_members_are_new() -> None:
    result = result_of({"one": [0.5]}, chosen_by="accuracy")
    waiting = StudyResult(result.study, (*result.members, MemberResult(member("two"), "new")))
    assert waiting.chosen is None
    assert waiting.to_dict()["chosen"] is None


def test_spreads() -> None:
    assert Spread.of([0.5]) == Spread(1, 0.5, None, 0.5, 0.5)
    several = Spread.of([1.0, 2.0, 3.0, 4.0])
    assert (several.n, several.mean, several.min, several.max) == (4, 2.5, 1.0, 4.0)
    assert several.sd == pytest.approx(1.2909944)
    assert (str(Spread.of([0.5])), str(several)) == ("0.5000", "2.5000 ± 1.2910")


@pytest.mark.parametrize("split", ["validation", "out_of_fold"])
def test_a_cross_validated_member_has_out_of_fold_metrics(tmp_path: Path, split: str) -> None:
    one = member("folds", path=tmp_path / "run")
    with open_run(one.path, one.recipe) as run:
        run.write_json(run.layout.metrics, {split: dict.fromkeys(METRICS, 0.5) | {"per_class": {}}, "timing": {}})
    result = MemberResult.of(one)
    assert (result.split, result.metrics["accuracy"]) == (split, 0.5)
    assert result.to_dict()[split]["loss"] == 0.5


def test_a_member_has_the_state_of_its_run(tmp_path: Path) -> None:
    one = member("s", path=tmp_path / "run")
    states: list[State] = [MemberResult.of(one).state]
    with pytest.raises(ZeroDivisionError), open_run(one.path, one.recipe):
        raise ZeroDivisionError("oh")
    failed = MemberResult.of(one)
    assert [*states, failed.state, failed.error] == ["new", "failed", "ZeroDivisionError: oh"]
