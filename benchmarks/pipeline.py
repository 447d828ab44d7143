"""What ``dvc repro`` costs beyond the stages' own work, in a tiny project (8 drawn people, B0 at 32 pixels).

``python -m benchmarks.pipeline`` runs the whole pipeline once, then ``dvc repro`` with nothing changed. It also
measures the start-up of each stage, which is the import of its module in a fresh interpreter, and each stage by
itself without DVC. ``bar`` is the time to stay under: 3 s with nothing changed, and 1.5 s for the start-up of
download, index and split. DVC's overhead is the time of the whole pipeline minus the sum of the stages by
themselves. Times are medians of ROUNDS runs (``--quick``: of 3), but the whole pipeline and the stages run once.

``ratio`` is the time of the full run over that with nothing changed: what DVC saves when there is nothing to do.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks import arguments, machine
from tests.pipeline.conftest import Project, make_project

ROUNDS = 7
BARS = {"download": 1.5, "index": 1.5, "split": 1.5}  # seconds
UNCHANGED_BAR = 3.0


def main() -> None:
    rounds = 3 if arguments(__doc__).quick else ROUNDS
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        full = timed(project, "dvc", "repro")
        times = [timed(project, "dvc", "repro") for _ in range(rounds)]
        calls = calls_of(project)
        starts: dict[str, list[float]] = {stage: [] for stage in calls}
        for _ in range(rounds):
            for stage in calls:
                starts[stage].append(timed(project, sys.executable, "-c", f"import stages.{stage}"))
        alone = {
            stage: sum(timed(project, sys.executable, "-m", f"stages.{stage}", *arguments) for arguments in those)
            for stage, those in calls.items()
        }
    unchanged = statistics.median(times)

    print(f"{'':24}{'seconds':>9}{'bar':>6}  {'whole stage':>11}")
    for stage in calls:
        bar = BARS.get(stage, "")
        print(f"{'start-up of ' + stage:24}{statistics.median(starts[stage]):9.2f}{bar:>6}  {alone[stage]:11.2f}")
    print(f"{'dvc repro, no change':24}{unchanged:9.2f}{UNCHANGED_BAR:>6}")
    print(f"{'dvc repro, everything':24}{full:9.2f}")
    print(f"{'of it the stages':24}{sum(alone.values()):9.2f}")
    print(f"{'of it DVC':24}{full - sum(alone.values()):9.2f}")
    print(f"ratio: {full / unchanged:.2f}")


def calls_of(project: Project) -> dict[str, list[list[str]]]:
    """The arguments of each call of a stage: one for each entry that the stage is there for."""
    stages = yaml.safe_load((project.path / "dvc.yaml").read_text())["stages"]
    params = yaml.safe_load((project.path / "params.yaml").read_text())
    calls = {
        name: [[entry] for entry in params[stage["foreach"].strip("${}")]] if "foreach" in stage else [[]]
        for name, stage in stages.items()
    }
    return {name: those for name, those in calls.items() if those}


def timed(project: Project, *command: str) -> float:
    """Seconds that a command takes in the project's root."""
    start = time.perf_counter()
    project.run(*command)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
