"""What the doctor makes is removed: by itself, and by the next one if it was killed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from qarnot_local import LocalCluster
from run_qarnot.catalog import Catalog
from run_qarnot.cloud.api import Cloud
from run_qarnot.doctor import observer
from run_qarnot.doctor.observer import NotWantedError, Observer
from run_qarnot.model.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def look(cluster: LocalCluster) -> Observer:
    settings = Settings(cluster_url=cluster.cluster_url, storage_url=cluster.storage_url, token=cluster.token)
    return Observer(settings, cluster.token, Catalog(), Cloud(settings, cluster.token))


def test_what_an_examination_that_was_killed_left_is_removed(look: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = look.cloud.storage
    storage.create("rq-doctor-0badcafe-in", "rq-doctor-0badcafe")
    storage.create("rq-doctor-of-somebody", "another")
    storage.create("calm-heron-in", "calm-heron")
    assert look.remove_stale() == [], "they are new: another doctor may be at work"
    monkeypatch.setattr(observer, "_STALE", timedelta(seconds=-60))
    assert look.remove_stale() == ["rq-doctor-0badcafe-in"]
    assert set(storage.buckets()) == {"rq-doctor-of-somebody", "calm-heron-in"}
    for bucket in storage.buckets():
        storage.delete_bucket(bucket)


def test_what_cannot_be_removed_is_named(look: Observer, cluster: LocalCluster) -> None:
    bucket = look.make_bucket()
    cluster.control.fail_next("DELETE", "s3:DeleteBucket", code="AccessDenied", times=None)
    assert look.remove() == [f"the bucket {bucket}"]
    cluster.control.reset()
    look.cloud.storage.delete_bucket(bucket)


def test_once_it_is_given_up_nothing_is_asked_or_made(look: Observer, cluster: LocalCluster) -> None:
    look.give_up()
    cluster.control.clear_calls()
    for act in (lambda: look.get("/info"), look.make_bucket, lambda: look.pause(60), lambda: look.fetch("GET", "/")):
        with pytest.raises(NotWantedError):
            act()
    assert cluster.control.calls == []


def test_the_token_is_in_no_representation(look: Observer) -> None:
    assert look.token not in repr(look)
