"""What an Application shows: its status, written by server-side apply, and events that become series."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent.adapters.kubernetes.status import Statuses
from agent.values.errors import NotFoundError, StaleObjectError
from agent.values.ids import ApplicationId

CRD = Path(__file__).parents[2] / "deploy" / "crds" / "applications.yaml"


@pytest.fixture(scope="module")
def definition(controlplane):
    controlplane.apply(yaml.safe_load(CRD.read_text()))
    controlplane.kubectl("wait", "--for=condition=Established", "crd/applications.signet-gitops.dev", "--timeout=30s")


@pytest.fixture
def application(definition, controlplane, namespace) -> ApplicationId:
    made = controlplane.apply(
        {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"source": {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}}},
        }
    )
    return ApplicationId(namespace, "web", made["metadata"]["uid"])


def live(controlplane, application):
    path = f"/apis/signet-gitops.dev/v1alpha1/namespaces/{application.namespace}/applications/{application.name}"
    return controlplane.get(path)


def events(controlplane, application):
    return controlplane.get(f"/apis/events.k8s.io/v1/namespaces/{application.namespace}/events")["items"]


async def test_the_status_is_replaced_and_the_spec_untouched(home, controlplane, application):
    before = live(controlplane, application)
    await home.update_status(application, {"observedGeneration": 1, "revision": "main@abc"})
    await home.update_status(application, {"observedGeneration": 2})
    after = live(controlplane, application)
    assert after["status"] == {"observedGeneration": 2}
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])


async def test_a_later_application_of_the_same_name_is_not_written_to(home, controlplane, application):
    other = ApplicationId(application.namespace, application.name, "00000000-0000-0000-0000-000000000000")
    with pytest.raises(StaleObjectError):
        await home.update_status(other, {"observedGeneration": 1})
    with pytest.raises(NotFoundError):
        await home.update_status(ApplicationId(application.namespace, "gone", other.uid), {})
    assert "status" not in live(controlplane, application)


async def test_repeats_within_ten_minutes_are_one_series(cluster, controlplane, application):
    now = [1_700_000_000.0]
    statuses = Statuses(cluster._session, instance="agent-0", now=lambda: now[0])

    async def happen(seconds: float, message: str = "drift of ConfigMap shop/a") -> None:
        now[0] += seconds
        await statuses.event(application, kind="Warning", reason="Drifted", message=message)

    await happen(0)
    await happen(599)
    await happen(599)
    await happen(0, "another")
    counts = {(event["note"], event.get("series", {}).get("count", 1)) for event in events(controlplane, application)}
    assert counts == {("drift of ConfigMap shop/a", 3), ("another", 1)}
    await happen(601)
    assert len(events(controlplane, application)) == 3
    described = controlplane.kubectl("describe", "-n", application.namespace, "application", "web")
    assert "drift of ConfigMap shop/a" in described


async def test_an_event_that_ran_out_is_made_again(home, controlplane, application):
    await home.event(application, kind="Normal", reason="Applied", message="12 objects")
    (first,) = events(controlplane, application)
    path = f"/apis/events.k8s.io/v1/namespaces/{application.namespace}/events/{first['metadata']['name']}"
    controlplane.delete(path)
    await home.event(application, kind="Normal", reason="Applied", message="12 objects")
    assert len(events(controlplane, application)) == 1


async def test_text_from_git_is_escaped_and_cut(home, controlplane, application):
    await home.event(application, kind="Normal", reason="Applied", message="a\x1b[31m\nä" + "ä" * 5000)
    (event,) = events(controlplane, application)
    assert event["note"].startswith("a\\x1b[31m\\n")
    assert 1020 <= len(event["note"].encode()) <= 1024
