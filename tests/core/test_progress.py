"""Progress: bars at a terminal, plain lines elsewhere, hidden on request."""

from __future__ import annotations

import pytest

from slugline.core import messages, progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is shown, as by the command line, without an interval between lines."""
    monkeypatch.setattr(progress, "_shown", True)
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.0)


@pytest.mark.usefixtures("shown")
def test_hidden_progress_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress.hide()
    with progress.track("tokenising", 10, unit="texts") as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("shown")
def test_without_a_terminal_progress_is_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.track("tokenising", 10, unit="texts") as advance:
        advance(4)
        advance(6)
    out, err = capsys.readouterr()
    assert not out
    assert [line.split(",")[0] for line in err.splitlines()] == [
        "tokenising: 4 of 10 texts",
        "tokenising: 10 of 10 texts",
    ]


class Closed:
    """A stderr whose reader has exited, or that is closed."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(5, "I/O error"), ValueError("write to closed file")], ids=repr
)
def test_progress_never_ends_a_task(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("sys.stderr", Closed(error))
    with progress.track("counting", 3) as advance:
        for _ in range(3):
            advance(1)


@pytest.mark.usefixtures("shown")
def test_a_task_of_unknown_length_shows_its_count(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.track("predicting", unit="rows") as advance:
        advance(4_096)
    assert capsys.readouterr().err == "predicting: 4,096 rows\n"


def test_messages_wrap_at_words_at_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    messages.show()
    text = "try a lower learning-rate, because " * 6
    messages.logger.info(text)
    assert capsys.readouterr().err == f"{text}\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    messages.logger.warning(text)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60
    assert " ".join(lines).split() == ["warning:", *text.split()]


@pytest.mark.usefixtures("shown")
def test_at_a_terminal_progress_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.track("training", 2, unit="updates") as advance:
        advance(2)
    assert "2/2" in capsys.readouterr().err
