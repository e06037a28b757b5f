"""Which objects are HorizontalPodAutoscalers, and what they scale."""

from __future__ import annotations

from agent.manifests import autoscaling
from agent.values.ids import ObjectId


def test_only_autoscalers_scale():
    scaler = {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db"}}}
    key = ObjectId("autoscaling", "HorizontalPodAutoscaler", "shop", "db")
    others = [
        ObjectId("keda.sh", "HorizontalPodAutoscaler", "shop", "a"),
        ObjectId("autoscaling", "Other", "shop", "b"),
    ]
    found = autoscaling.targets([(key, scaler), *((each, scaler) for each in others)])
    assert found == {ObjectId("apps", "Deployment", "shop", "db"): key}
