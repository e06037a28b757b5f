"""Every alert fires from its own fault, and from no other, as Prometheus's own promtool evaluates the rules that are shipped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from alert_faults import FAULTS, MEANT, Fault, promtool_test

from generate import alerts

RULES = Path(__file__).parents[2] / "deploy" / "alerts.yaml"


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules():
    assert f"{len(alerts.ALERTS)} rules found" in promtool("check", "rules", str(RULES))


def test_the_table_has_a_fault_for_each_alert():
    assert [each.alert for each in FAULTS] == [each.name for each in alerts.ALERTS]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.alert)
def test_a_fault_fires_its_own_alert_and_no_other(fault: Fault, tmp_path: Path):
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(promtool_test(fault.minute, str(RULES), fault)))
    promtool("test", "rules", str(path))


@pytest.mark.parametrize("name", MEANT)
def test_what_is_meant_fires_nothing(name: str, tmp_path: Path):
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(promtool_test(MEANT[name], str(RULES))))
    promtool("test", "rules", str(path))


def test_an_alert_names_the_application_and_the_cure(tmp_path: Path):
    held = next(each for each in FAULTS if each.alert == "SignetObjectsHeld")
    test = promtool_test(held.minute, str(RULES), held)
    test["tests"][0]["alert_rule_test"] = [
        {
            "eval_time": "60m",
            "alertname": held.alert,
            "exp_alerts": [
                {
                    "exp_labels": {"severity": "warning", **held.labels},
                    "exp_annotations": {
                        "summary": "Application shop/web holds objects back: DataKey",
                        "description": "Run agent status web -n shop: it names file, object, field and cure. "
                        "Nothing of the Application is pruned until then.",
                    },
                }
            ],
        }
    ]
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(test))
    promtool("test", "rules", str(path))


@pytest.mark.parametrize(
    ("name", "matchers"),
    [("signet_things", ""), ("signet_objects", 'stat="held"'), ("signet_git_seconds", ""), ("signet_drift", "")],
)
def test_a_rule_on_what_the_agent_does_not_count_is_refused(name: str, matchers: str):
    with pytest.raises(ValueError, match=r"has no (metric|label) "):
        alerts.series(name, matchers)
