"""A search that cannot find proves nothing: every form is planted and found, and a finding does not show the value."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.canary import Canaries, ProcessWatch
from testbed.processes import wait_until

VALUE = 'pa"ss\\wörd/+& <x>-7f3a'
CANARIES = Canaries({"db": VALUE})

PLANTED = {
    "plain": f"password {VALUE} refused",
    "base64": b64encode(VALUE.encode()).decode(),
    "base64 within more": b64encode(b"{'p': '" + VALUE.encode() + b"'}").decode(),
    "base64 at one byte": b64encode(b"x" + VALUE.encode() + b"tail").decode(),
    "base64 at two bytes": b64encode(b"xy" + VALUE.encode()).decode(),
    "base64 for URLs": urlsafe_b64encode(b"xy" + VALUE.encode()).decode(),
    "base64 of base64": b64encode(b64encode(VALUE.encode())).decode(),
    "a URL": f"https://git:{quote(VALUE, safe='')}@example.com",
    "a form": quote_plus(VALUE),
    "JSON": json.dumps({"message": f"got {VALUE}"}),
    "JSON in JSON": json.dumps({"log": json.dumps({"message": VALUE})}),
    "JSON of Go": json.dumps(VALUE).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "a repr": repr({"password": VALUE}),
    "a bytes repr": repr(VALUE.encode()),
    "hex": VALUE.encode().hex(),
    "upper hex": VALUE.encode().hex().upper(),
}


@pytest.mark.parametrize("form", PLANTED)
def test_every_form_is_found_and_not_shown(form):
    findings = CANARIES.search_text(PLANTED[form], "a log")
    assert findings
    assert {(each.place, each.label) for each in findings} == {("a log", "db")}
    assert not CANARIES.search_text(" ".join(map(str, findings)), "the findings")


@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_is_found_whatever_stands_around_it(before, after):
    assert CANARIES.search_text(b64encode(before + VALUE.encode() + after), "a blob")


def test_nothing_is_found_where_nothing_is():
    assert CANARIES.search_text("pa$$word " * 1000, "a log") == []
    assert CANARIES.searched.texts > 0


def test_a_leaf_of_a_tree_is_named():
    tree = {"status": {"failures": [{"message": "fine"}, {"message": f"cannot parse {VALUE}"}]}}
    assert {each.place for each in CANARIES.search_tree(tree, "Application x")} == {
        "Application x.status.failures[1].message"
    }
    assert CANARIES.search_tree({VALUE: 1}, "keys")


def test_files_names_and_packed_git_objects_are_searched(repository, tmp_path):
    (tmp_path / "state" / VALUE.replace("/", "_")).mkdir(parents=True)
    (tmp_path / "state" / "log").write_bytes(b"\0" + VALUE.encode() + b"\0")
    (tmp_path / "state" / "key").write_text(VALUE)
    found = CANARIES.search_files(tmp_path, ignore={"key"})
    assert {each.place for each in found} == {str(tmp_path / "state" / "log")}
    repository.commit({"a.yaml": f"password: {VALUE}\n" * 50})
    assert any(each.place.startswith("objects of") for each in CANARIES.search_files(repository.path))


def test_a_child_that_is_gone_was_seen():
    command = "import subprocess, sys, time; subprocess.run(['sleep', '0.2'], env={'TOKEN': sys.stdin.read()}); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE)
    try:
        with ProcessWatch(parent.pid) as watch:
            parent.stdin.write(VALUE.encode())
            parent.stdin.close()
            wait_until(lambda: watch.processes == 2, 20, "the child is seen")
            wait_until(lambda: watch.search(CANARIES), 20, "its environment is seen")
        assert any(each.place.startswith("environ") for each in watch.search(CANARIES))
        wait_until(lambda: not CANARIES.search_process(parent.pid), 20, "the child is gone")
    finally:
        parent.kill()
        parent.wait()


def test_objects_of_the_cluster_are_searched_but_not_the_data_of_secrets(controlplane, namespace):
    controlplane.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "good", "namespace": namespace},
            "stringData": {"password": VALUE},
        }
    )
    assert CANARIES.search_cluster(controlplane, [namespace]) == []
    for kind, field in (("Secret", "metadata"), ("ConfigMap", "data")):
        bad = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "bad", "namespace": namespace}}
        bad.setdefault(field, {})[{"metadata": "annotations"}.get(field, "x")] = (
            {"note": VALUE} if field == "metadata" else VALUE
        )
        controlplane.apply(bad)
    places = {each.place for each in CANARIES.search_cluster(controlplane, [namespace])}
    assert any("secrets" in place and ".metadata.annotations.note" in place for place in places)
    assert any("configmaps" in place and ".data.x" in place for place in places)
    assert CANARIES.search_cluster(controlplane)


def test_a_short_value_is_refused():
    with pytest.raises(ValueError, match="8 bytes"):
        Canaries({"pin": "1234"})
