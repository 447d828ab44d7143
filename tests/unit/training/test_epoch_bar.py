"""In a log, training writes a line an epoch; on a terminal it shows a bar."""

import sys
from pathlib import Path

import pytest

from deepfake_detection.training.fit import fit
from deepfake_detection.training.runs import epoch_log
from tests.support.terminals import on_terminal
from tests.unit.training.small import make_batches, tiny

ROOT = Path(__file__).parents[3]
EPOCHS, STEPS = 3, 11


def main(folder: str) -> None:
    batches = make_batches(epochs=EPOCHS, batch_size=2, patience=9)
    assert fit(tiny(), batches, batches.params, epoch_log(Path(folder, "curves.csv")))


def test_a_log_gets_a_line_an_epoch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(str(tmp_path))
    out, err = capfd.readouterr()
    assert err == ""
    assert "\r" not in out
    first, *epochs, last = out.splitlines()
    assert first.startswith("training on ")
    assert last.startswith("peak memory")
    assert len(epochs) == EPOCHS
    assert all("val_loss" in line for line in epochs)
    header, *rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert header == "epoch,train_loss,val_loss,train_accuracy,val_accuracy,train_auroc,val_auroc"
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2"]


@pytest.mark.slow
def test_a_terminal_gets_a_bar_an_epoch(tmp_path: Path) -> None:
    seen = on_terminal("-W", "ignore", "-m", __name__, str(tmp_path), cwd=ROOT)
    for epoch in range(EPOCHS):
        assert f"epoch {epoch}: " in seen
    assert f"/{STEPS + 3} [" in seen  # the five validation frames are three batches more


if __name__ == "__main__":
    main(sys.argv[1])
