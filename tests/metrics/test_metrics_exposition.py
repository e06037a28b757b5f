from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.adapters.metrics import prometheus
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from agent.engine.ports import MetricsPort

SHOP = ApplicationId("shop", "web", "uid-1")


def samples(metrics: prometheus.Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_what_happens_is_counted():
    metrics = prometheus.Metrics(version="0.1.0")
    port: MetricsPort = metrics
    port.reconciled("git", "succeeded", 0.3)
    port.drifted("live")
    port.healed(0.02)
    port.objects(SHOP, {"applied": 7, "held": 1})
    metrics.synced(SHOP, 1_800_000_000)
    metrics.api_request("PATCH", 200)
    metrics.git_exchange("fetch", True, 0.2)
    metrics.store_request("main", False, 40)
    found = samples(metrics)
    assert found["signet_reconciliations_total", "git", "succeeded"] == 1
    assert found["signet_reconciliation_seconds_count",] == 1
    assert found["signet_drift_total", "live"] == 1
    assert found["signet_heal_seconds_bucket", "0.025"] == 1
    assert found["signet_objects", "web", "shop", "applied"] == 7
    assert found["signet_objects", "web", "shop", "held"] == 1
    assert found["signet_last_sync_timestamp_seconds", "web", "shop"] == 1_800_000_000
    assert found["signet_api_requests_total", "200", "PATCH"] == 1
    assert found["signet_git_seconds_bucket", "0.25", "fetch", "answered"] == 1
    assert found["signet_store_seconds_bucket", "30.0", "failed", "main"] == 0
    assert found["signet_store_seconds_bucket", "60.0", "failed", "main"] == 1
    assert found["signet_agent_info", "0.1.0"] == 1


def test_state_that_nothing_is_in_any_more_disappears():
    metrics = prometheus.Metrics(version="0")
    metrics.objects(SHOP, {"applied": 7, "held": 1})
    metrics.objects(SHOP, {"applied": 8})
    assert ("signet_objects", "web", "shop", "held") not in samples(metrics)
    assert samples(metrics)["signet_objects", "web", "shop", "applied"] == 8


def test_what_is_held_is_counted_by_reason_while_it_is():
    metrics = prometheus.Metrics(version="0")
    metrics.held(SHOP, {"DataKey": 2, "StoreDenied": 1})
    assert samples(metrics)["signet_held_objects", "web", "shop", "DataKey"] == 2
    metrics.held(SHOP, {"StoreDenied": 1})
    assert ("signet_held_objects", "web", "shop", "DataKey") not in samples(metrics)
    assert samples(metrics)["signet_held_objects", "web", "shop", "StoreDenied"] == 1


def test_what_an_application_waits_for_is_counted_while_it_does():
    metrics = prometheus.Metrics(version="0")
    metrics.waits(SHOP, {"DependencyNotReady": 2})
    assert samples(metrics)["signet_waits", "web", "shop", "DependencyNotReady"] == 2
    metrics.waits(SHOP, {})
    assert not [key for key in samples(metrics) if "web" in key]


def test_a_spec_that_cannot_be_run_is_counted_until_it_can():
    metrics = prometheus.Metrics(version="0")
    metrics.refused(SHOP, "Manifest")
    assert samples(metrics)["signet_refused", "web", "shop", "Manifest"] == 1
    metrics.refused(SHOP, "")
    assert not [key for key in samples(metrics) if "web" in key]


def test_a_run_under_way_has_a_series_until_it_ends():
    metrics = prometheus.Metrics(version="0")
    metrics.began(SHOP, 1_800_000_000)
    assert samples(metrics)["signet_running_since_timestamp_seconds", "web", "shop"] == 1_800_000_000
    metrics.ended(SHOP, 1_800_000_060)
    assert ("signet_running_since_timestamp_seconds", "web", "shop") not in samples(metrics)
    assert samples(metrics)["signet_run_ended_timestamp_seconds", "web", "shop"] == 1_800_000_060


def test_a_namespace_has_a_queue_while_something_waits_or_an_application_of_it_is_known():
    metrics = prometheus.Metrics(version="0")
    metrics.queued("shop", 2)
    assert samples(metrics)["signet_queued_runs", "shop"] == 2
    metrics.queued("shop", 0)
    assert ("signet_queued_runs", "shop") not in samples(metrics)
    metrics.began(SHOP, 1)
    assert samples(metrics)["signet_queued_runs", "shop"] == 0
    metrics.queued("shop", 1)
    metrics.forget(SHOP)
    assert samples(metrics)["signet_queued_runs", "shop"] == 1
    metrics.queued("shop", 0)
    assert not [key for key in samples(metrics) if "shop" in key]


def test_a_kind_that_is_not_served_any_more_has_no_watch():
    metrics = prometheus.Metrics(version="0")
    metrics.watched("widgets.example.com", None)
    metrics.watched("widgets.example.com", 1_800_000_000)
    metrics.watched("secrets", 1_800_000_001)
    assert samples(metrics)["signet_watch_timestamp_seconds", "widgets.example.com"] == 1_800_000_000
    metrics.watched("widgets.example.com", None)
    assert ("signet_watch_timestamp_seconds", "widgets.example.com") not in samples(metrics)
    metrics.watches_ended()
    assert ("signet_watch_timestamp_seconds", "secrets") not in samples(metrics)


def test_what_waits_for_the_audit_trail_is_asked_at_each_scrape():
    metrics, backlog = prometheus.Metrics(version="0"), [(3, 0.5), (0, 0.0)]
    metrics.audit_backlog(lambda: backlog[0])
    found = samples(metrics)
    assert (found["signet_audit_waiting_records",], found["signet_audit_lag_seconds",]) == (3, 0.5)
    del backlog[0]
    assert samples(metrics)["signet_audit_waiting_records",] == 0


def test_application_that_is_gone_leaves_no_series():
    metrics = prometheus.Metrics(version="0")
    metrics.objects(SHOP, {"applied": 7})
    metrics.held(SHOP, {"DataKey": 2})
    metrics.waits(SHOP, {"Suspended": 1})
    metrics.refused(SHOP, "Manifest")
    metrics.queued("shop", 0)
    metrics.ended(SHOP, 1)
    metrics.began(SHOP, 1)
    metrics.synced(SHOP, 1)
    metrics.forget(SHOP)
    metrics.forget(SHOP)
    assert not [key for key in samples(metrics) if "shop" in key]


def test_two_agents_in_one_process_share_nothing():
    one, other = prometheus.Metrics(version="0"), prometheus.Metrics(version="0")
    one.drifted("live")
    assert ("signet_drift_total", "live") not in samples(other)
