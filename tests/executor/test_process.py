"""The tests' own hold on an operator's process."""

from pathlib import Path

from executor.process import Operator


def test_a_line_that_is_being_written_is_not_read_yet(tmp_path: Path) -> None:
    log = tmp_path / "log"
    operator = Operator(tmp_path / "no-kubeconfig", log)
    operator.wait()
    said = operator.log()
    with log.open("a") as more:
        more.write('{"msg": "half of ')
    assert operator.log() == said
    with log.open("a") as more:
        more.write('it"}\n')
    assert operator.log() == [*said, {"msg": "half of it"}]
