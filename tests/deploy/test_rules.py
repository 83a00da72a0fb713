"""Rules and alerts: accepted by Prometheus, each proved in a case where it fires and one where not."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.deploy.prometheus import FOLDER, ROOT, RULES, check, read_rules

CASES = sorted((Path(__file__).parent / "rules").glob("*.yml"))
README = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")


def test_prometheus_accepts_configuration_and_rules() -> None:
    assert "SUCCESS" in check("check", "config", FOLDER / "prometheus.yml")
    for path in RULES:
        assert "SUCCESS" in check("check", "rules", path)


def test_rules_and_alerts_do_what_they_should_in_every_case() -> None:
    assert "SUCCESS" in check("test", "rules", *CASES)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    loud: set[str] = set()
    silent: set[str] = set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for step in case["alert_rule_test"]:
                (loud if step["exp_alerts"] else silent).add(step["alertname"])
    alerts = {rule["alert"] for rule in read_rules() if "alert" in rule}

    assert loud == alerts
    assert silent == alerts


def test_every_alert_says_how_urgent_it_is_and_what_it_means() -> None:
    for rule in read_rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}, rule
            assert set(rule["annotations"]) == {"summary", "description"}, rule
            assert f"| `{rule['alert']}` |" in README, rule["alert"]


def test_no_rule_names_the_service() -> None:
    """Somebody who renames it, or its job, keeps every alert."""
    for rule in read_rules():
        assert "job=" not in rule["expr"], rule
        assert "slipway" not in str(rule), rule
