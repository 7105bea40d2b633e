"""A real Prometheus with the founding organisation's rules, and a real Alertmanager, before a bridge and a worker on Kafka."""

import asyncio
import re
import time
import urllib.request
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer

from deploy.kafka.secured import free_ports
from tests.integration.servers import server
from tests.support.engines import Tocsin

JOBS = ("ollama", "redis", "postgres-exporter", "sutazai-backend", "planner-agent")


def _prometheus(folder: Path, rules: Path, alertmanager: str) -> tuple[list[str], str]:
    """A Prometheus whose targets are all down.

    The rules are the organisation's, but for their waiting times.
    """
    (folder / "rules.yml").write_text(re.sub(r"\bfor: \S+", "for: 1s", rules.read_text()))
    jobs = "".join(
        f"  - {{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{free_ports(1)[0]}']}}]}}\n"
        for job in JOBS
    )
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "rule_files: [rules.yml]\n"
        f"scrape_configs:\n{jobs}"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n"
    )
    port = free_ports(1)[0]
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
    ]
    return [*command, f"--web.listen-address=127.0.0.1:{port}"], f"http://127.0.0.1:{port}/-/ready"


def _alertmanager(folder: Path, bridge: str) -> tuple[list[str], str, str]:
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: tocsin, group_wait: 1s, group_interval: 1s, repeat_interval: 1m, group_by: ['...']}\n"
        f"receivers: [{{name: tocsin, webhook_configs: [{{url: '{bridge}/webhook/alertmanager', send_resolved: true}}]}}]\n"
    )
    port = free_ports(1)[0]
    command = [
        "prometheus-alertmanager",
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/am",
    ]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    return command, f"http://127.0.0.1:{port}/-/ready", f"127.0.0.1:{port}"


def _incidents(broker: str, prefix: str, wanted: set[str]) -> dict[str, str]:
    """Component -> severity of the incidents in the topic, read by a plain consumer until the wanted ones are there."""

    async def consume() -> dict[str, str]:
        servers = broker.removeprefix("kafka://")
        consumer = AIOKafkaConsumer(
            f"{prefix}.incidents", bootstrap_servers=servers, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: dict[str, str] = {}
        until = time.monotonic() + 60
        try:
            while not wanted <= set(found) and time.monotonic() < until:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        incident = orjson.loads(record.value)
                        found[incident["component"]] = incident["severity"]
        finally:
            await consumer.stop()
        return found

    return asyncio.run(consume())


@pytest.mark.parametrize("way", ["directly", "through Alertmanager"])
def test_rules_become_incidents(broker: str, shared: Path, tmp_path: Path, way: str) -> None:
    """What the organisation's rules say of targets that are down becomes incidents with the procedure's severities."""
    prefix = f"prom-{way.split(maxsplit=1)[0]}"
    settings = {"TOCSIN_BROKER": broker, "TOCSIN_PREFIX": prefix, "TOCSIN_PARTITIONS": "4"}
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    rules = shared / "sutazai" / "monitoring" / "prometheus" / "sutazai_critical_alerts.yml"
    wanted = {"postgresql", "ollama", "backend"}
    manager, manager_ready, manager_address = _alertmanager(tmp_path, bridge.url)
    target = bridge.url.removeprefix("http://") if way == "directly" else manager_address
    prometheus, prometheus_ready = _prometheus(tmp_path, rules, target)
    with server(tmp_path, manager, manager_ready), server(tmp_path, prometheus, prometheus_ready):
        found = _incidents(broker, prefix, wanted)
    worker.stop()
    bridge.stop()

    assert {component: found.get(component) for component in wanted} == dict.fromkeys(wanted, "P0")


def test_fingerprints_are_alertmanagers(tmp_path: Path) -> None:
    """A real Alertmanager computes the same fingerprints, whatever stands in the labels."""
    from models.alert import fingerprint  # noqa: PLC0415  the one use of it here

    values = ("", "x", "käse", "a b", 'q"q', "\\", "日本", "\t", "x" * 500, "ÿ")
    alerts = [
        {"labels": {"alertname": f"A{number}", "first": value, "zz": other}}
        for number, (value, other) in enumerate((one, two) for one in values for two in values)
    ]
    command, ready, address = _alertmanager(tmp_path, "http://127.0.0.1:9")
    with server(tmp_path, command, ready):
        request = urllib.request.Request(
            f"http://{address}/api/v2/alerts",
            orjson.dumps(alerts),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()
        with urllib.request.urlopen(f"http://{address}/api/v2/alerts", timeout=10) as response:
            answered = orjson.loads(response.read())

    assert len(answered) == 100
    assert [one["fingerprint"] for one in answered] == [
        fingerprint(one["labels"]) for one in answered
    ]
