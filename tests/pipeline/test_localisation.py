"""The study of where frames were changed, on drawn frames in the official layout."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from experiments import genuine, localisation
from experiments.study import RESULTS
from tests.pipeline.conftest import ROOT
from tests.pipeline.test_genuine import official


@pytest.mark.slow
def test_maps_are_compared_on_what_differs_from_the_originals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``genuine`` then compares the scores of the same network with those of one without the head."""
    official(tmp_path / "videos", 14)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    tiny = genuine.row("mild", 64, 1)
    monkeypatch.setitem(genuine.ROWS, "small", tiny)
    monkeypatch.setitem(genuine.ROWS, localisation.ROW, [*tiny, "train.localise=1"])
    monkeypatch.setattr("sys.argv", ["localisation", str(tmp_path / "videos"), "--splits", "1"])
    localisation.main()
    (folder,) = (tmp_path / RESULTS / "localisation").iterdir()
    file = folder / "0.csv"
    places = pd.read_csv(file).set_index(["map", "frames"])
    assert len(places) == 3 * 2
    assert places["frames counted"].min() > 0
    assert places["AUROC"].xs("blind").min() > 0.7, "faces are in the middle, and so is what was changed"
    assert Image.open(file.with_suffix(".png")).width > 500
    kept, table = file.stat().st_mtime_ns, capsys.readouterr().out.split("AUROC\n", 1)[1]
    localisation.main()
    assert file.stat().st_mtime_ns == kept
    assert capsys.readouterr().out.split("AUROC\n", 1)[1] == table
    scored = next((tmp_path / RESULTS / "genuine").iterdir()) / "small-localise" / "0.csv"
    kept = scored.stat().st_mtime_ns
    monkeypatch.setattr(
        "sys.argv", ["genuine", str(tmp_path / "videos"), "--splits", "1", "--rows", "small", "small-localise"]
    )
    genuine.main()
    assert scored.stat().st_mtime_ns == kept
    without = pd.read_csv(scored.parents[1] / "small" / "0.csv")
    assert not without["logit"].equals(pd.read_csv(scored)["logit"])
