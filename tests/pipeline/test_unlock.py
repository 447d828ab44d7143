"""DVC's own lock file, half written when it was killed."""

from dvc.lock import make_lock

from tests.pipeline.conftest import ROOT, Project
from tests.torture.kills import BEFORE
from tools.unlock import unlock


def test_a_half_written_lock_file_stops_dvc_until_it_is_removed(built: Project) -> None:
    folder = built.path / ".dvc" / "tmp"
    assert not unlock(folder)
    for content in ("", '{"write": {"/da'):
        (folder / "rwlock").write_text(content)
        failed = built.run("dvc", "repro", "inputs", succeed=False)
        assert failed.returncode != 0
        assert "JSON structure is corrupted" in failed.stdout
        assert unlock(folder)
        built.run("dvc", "repro", "inputs")
        assert not unlock(folder)


def test_a_lock_file_that_another_process_may_be_writing_stays(built: Project) -> None:
    folder = built.path / ".dvc" / "tmp"
    (folder / "rwlock").write_text("")
    with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
        assert not unlock(folder)
        assert (folder / "rwlock").exists()
    assert unlock(folder)


def test_make_repro_runs_what_the_kills_run() -> None:
    rule = (ROOT / "Makefile").read_text().partition("\nrepro:")[2].partition("\n\n")[0].splitlines()[1:]
    assert [line.strip("\t@") for line in rule] == [*BEFORE, "dvc repro"]
