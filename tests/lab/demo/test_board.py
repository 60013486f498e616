"""What the demo knows, what it waits for, and what it shows of it."""

import io

import pytest
from rich.console import Console

from serinus.lab.demo import summary
from serinus.lab.demo.board import Board, Figures, StoryBroken
from serinus.lab.demo.counts import Failure
from serinus.lab.demo.play import Chronicle, Step
from serinus.lab.demo.rollout import Rollout
from serinus.lab.demo.view import LiveView


def played() -> tuple[Board, Chronicle]:
    """A board and a chronicle after the whole story."""
    board, chronicle = Board(), Chronicle()
    board.enter("Initialized", 0, 0, "")
    for version, last, end in (
        ("6.0.1", "Copying podinfo.test template spec to podinfo-primary.test", "Succeeded"),
        ("6.0.2", "Rolling back podinfo.test failed checks threshold reached 5", "Failed"),
    ):
        board.ask(version)
        board.enter("Progressing", 0, 0, "")
        board.tell("Normal", "Advance podinfo.test canary weight 5")
        board.tell("Normal", last)
        board.enter(end, 0, 0, "")
        chronicle.rollouts.append(Rollout.of(board, version))
    board.counts.by_version.update({"6.0.0": 3000, "6.0.1": 4000})
    return board, chronicle


def shown(board: Board, chronicle: Chronicle) -> str:
    console = Console(file=io.StringIO(), width=100)
    summary.show(console, board, chronicle)
    console.print(LiveView(console, board, chronicle, "title").picture())
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_the_page_of_a_story_that_went_well() -> None:
    board, chronicle = played()
    chronicle.steps.append(Step("lab up", 1.25))
    board.primary = Figures(100.0, 0.7, 80.0)
    assert summary.verdict(board, chronicle) == []
    page = shown(board, chronicle)
    for text in ("Succeeded", "Failed", "4\u2009000", "lab up", "no request failed", "0.7 ms"):
        assert text in page


def test_a_failed_request_is_told_with_its_phase() -> None:
    board, chronicle = played()
    board.counts.failed = 1
    board.counts.failures.append(Failure(board.passages[1].moment.at, "503: no healthy upstream"))
    assert summary.verdict(board, chronicle) == ["1 requests through the apex failed"]
    page = shown(board, chronicle)
    assert "1 while Progressing" in page
    assert "503: no healthy upstream" in page


def test_too_few_requests_say_nothing() -> None:
    board, chronicle = played()
    board.counts.by_version.clear()
    assert any("are needed" in complaint for complaint in summary.verdict(board, chronicle))


def test_a_rollout_that_was_not_seen_whole() -> None:
    with pytest.raises(ValueError, match="not seen"):
        Rollout.of(Board(), "6.0.1")


async def test_a_lost_story_is_told_at_once() -> None:
    board = Board()
    board.enter("Failed", 0, 5, "spec.analysis.maxWeight: is 150")
    board.tell("Warning", "Canary failed! Scaling down podinfo.test")
    with pytest.raises(StoryBroken, match="Succeeded") as broken:
        await board.until(lambda: False, 60, "Succeeded", lost=lambda: board.phase == "Failed")
    assert "spec.analysis.maxWeight" in str(broken.value)
    assert "Canary failed!" in str(broken.value)
