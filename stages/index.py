"""Lists the usable frames of a data set, the positions of their faces, and the files that cannot be used."""

import shutil
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.common.tables import HASH_COLUMNS
from deepfake_detection.index.build import RejectedError, index_data_set
from deepfake_detection.params.data_sections import folders_of
from deepfake_detection.params.load import load_params
from stages import data_set, run

DATA = Path("data")
WORK = DATA / ".part-index"  # what was found in videos, until all are read: a killed run goes on with it


def main(name: str) -> None:
    params = load_params()
    folders, most, faces = folders_of({name: data_set(params, name)}), params.index.max_rejected, params.prepare.crop
    try:
        found = index_data_set(DATA / "raw", name, most, faces != "none", folders=folders, work=WORK / name)
    except RejectedError as error:
        write_csv(rejected := DATA / "rejected" / f"{name}.csv", error.rejected)
        raise UserError(f"{error}; {rejected} lists what was rejected") from None
    write_csv(DATA / "index" / f"{name}.csv", found.frames.drop(columns="phash"))
    hashes = found.frames.assign(phash=found.frames["phash"].map("{:016x}".format))
    write_csv(DATA / "hashes" / f"{name}.csv", hashes[HASH_COLUMNS])
    for table, rows in (("faces", found.faces), ("rejected", found.rejected), ("missing", found.missing)):
        write_csv(DATA / table / f"{name}.csv", rows)
    shutil.rmtree(WORK / name, ignore_errors=True)
    print(f"{name}: {len(found.frames)} frames can be used, {len(found.rejected)} files are rejected")


if __name__ == "__main__":
    run(main)
