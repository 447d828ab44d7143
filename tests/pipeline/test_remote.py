"""Data and models shared through DVC's own S3 client and a real S3 server on the loopback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.pipeline.conftest import Project

pytestmark = pytest.mark.slow

BUCKET = "storage"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def account(endpoint: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        yield


@pytest.fixture(scope="module")
def pushed(built: Project, endpoint: str) -> Project:
    built.run("dvc", "remote", "add", "--default", "storage", f"s3://{BUCKET}/cache")
    built.run("dvc", "remote", "modify", "storage", "endpointurl", endpoint)
    built.run("dvc", "remote", "modify", "storage", "verify", "true")
    built.run("git", "commit", "--all", "--quiet", "--message", "Share the data")
    built.run("dvc", "push")
    return built


def clone(project: Project, path: Path) -> Project:
    project.run("git", "clone", "--quiet", str(project.path), str(path))
    return Project(path)


def test_a_second_clone_pulls_what_was_pushed(pushed: Project, tmp_path: Path) -> None:
    second = clone(pushed, tmp_path / "second")
    assert not list((second.path / "data" / "prepared").rglob("*.npy"))
    second.run("dvc", "pull")
    assert json.loads(second.run("dvc", "status", "--cloud", "--json").stdout) == {}
    assert second.stages_run("dvc", "repro") == []
    assert second.run("git", "status", "--porcelain").stdout == ""
    name = "models/best_model_efficientnet_b0.pth"
    assert (second.path / name).read_bytes() == (pushed.path / name).read_bytes()
    # the metrics are in git: evaluate gives them again from what was pulled
    second.run("dvc", "repro", "--single-item", "--force", "evaluate")
    assert second.run("git", "status", "--porcelain").stdout == ""


def test_a_wiped_cache_comes_back(pushed: Project) -> None:
    shutil.rmtree(pushed.path / ".dvc" / "cache")
    shutil.rmtree(pushed.path / "data" / "prepared")
    pushed.run("dvc", "pull")
    assert json.loads(pushed.run("dvc", "status", "--cloud", "--json").stdout) == {}
    assert pushed.stages_run("dvc", "repro") == []


def test_an_altered_object_is_refused(pushed: Project, endpoint: str, tmp_path: Path) -> None:
    lock = (pushed.path / "dvc.lock").read_text()
    bucket = boto3.resource("s3", endpoint_url=endpoint).Bucket(BUCKET)
    checkpoint = pushed.path / "models" / "best_model_efficientnet_b0.pth"
    (victim,) = [item for item in bucket.objects.all() if item.size == checkpoint.stat().st_size]
    md5 = "".join(victim.key.split("/")[-2:])
    assert md5 in lock
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    bucket.put_object(Key=victim.key, Body=bytes(content))

    second = clone(pushed, tmp_path / "second")
    done = second.run("dvc", "pull", succeed=False)
    assert done.returncode != 0
    assert not (second.path / "models" / checkpoint.name).exists()
    assert not list((second.path / ".dvc" / "cache").rglob("/".join(victim.key.split("/")[-2:])))
