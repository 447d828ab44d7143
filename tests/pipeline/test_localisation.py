"""The study of where frames were changed, on drawn frames in the official layout."""

from pathlib import Path

import pandas as pd
import pytest

from experiments import genuine, localisation
from experiments.study import RESULTS
from tests.pipeline.conftest import ROOT
from tests.pipeline.test_genuine import official


@pytest.mark.slow
def test_maps_are_compared_on_blends_and_on_what_differs_from_the_originals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    official(tmp_path / "videos", 14)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(genuine.ROWS, localisation.ROW, genuine.row("mild", 64, 1, "nested"))
    monkeypatch.setattr("sys.argv", ["localisation", str(tmp_path / "videos"), "--seeds", "1"])
    localisation.main()
    (folder,) = (tmp_path / RESULTS / "localisation").iterdir()
    places = pd.read_csv(folder / "0.places.csv").set_index(["map", "frames"])
    assert len(places) == 4 * 3
    assert places["frames counted"].min() > 0
    assert places["AUROC"].xs("blind").min() > 0.7, "faces are in the middle, and so is what was changed"
    logits = pd.read_csv(folder / "0.logits.csv")
    assert not logits["with head"].equals(logits["without head"])
    kept, table = (folder / "0.places.csv").stat().st_mtime_ns, capsys.readouterr().out.split("AUROC\n", 1)[1]
    localisation.main()
    assert (folder / "0.places.csv").stat().st_mtime_ns == kept
    assert capsys.readouterr().out.split("AUROC\n", 1)[1] == table
