"""Mappings that ship with Tocsin. A policy's own of the same name comes first.

Sources: what each product's documentation says that its webhook sends. Zabbix and Datadog send what an
administrator writes into them: docs/API.md has the text to use.
"""

from models.policy.webhook_mapping import WebhookMapping

CLOUD_EVENTS = "cloudevents"  # the name of the mapping of events whose data are no alerts

ZABBIX = WebhookMapping.model_validate(
    {
        "labels": {
            "alertname": "event_name",
            "component": "host_name",
            "instance": "host_ip || host_name",
            "severity": "event_severity",
            "trigger_id": "trigger_id",
        },
        "annotations": {
            "summary": "event_name",
            "description": "event_opdata || alert_message",
            "tags": "event_tags",
        },
        "resolved": "to_string(event_value) == '0'",
        "key": "event_id",
        "url": "event_url",
    }
)
DATADOG = WebhookMapping.model_validate(
    {
        "labels": {
            "alertname": "alert_title || title",
            "component": "hostname || alert_scope",
            "instance": "hostname",
            "severity": "alert_type",
        },
        "annotations": {"summary": "title", "description": "body", "tags": "tags"},
        "resolved": "alert_transition == 'Recovered' || alert_type == 'success'",
        "key": "alert_cycle_key || aggreg_key || alert_id || id",
        "url": "link",
    }
)
SENTRY = WebhookMapping.model_validate(
    {
        "labels": {
            "alertname": (
                "data.event.title || data.issue.title || data.metric_alert.alert_rule.name"
                " || data.description_title"
            ),
            "component": (
                "data.issue.project.slug || data.metric_alert.projects[0]"
                " || data.event.project_slug || data.event.project"
            ),
            "severity": (
                "data.event.level || data.issue.level"
                " || ([action][?@ == 'critical' || @ == 'warning'] | [0])"
            ),
            "rule": "data.triggered_rule",
        },
        "annotations": {
            "summary": "data.event.title || data.issue.title || data.description_title",
            "description": "data.event.culprit || data.issue.culprit || data.description_text",
        },
        "resolved": "contains(['resolved', 'archived', 'ignored'], action)",
        "key": "data.event.issue_id || data.issue.id || data.metric_alert.id",
        "url": "data.event.web_url || data.issue.web_url || data.web_url",
    }
)
# A test message of Uptime Kuma has no monitor: it is taken, and nothing is made of it.
UPTIME_KUMA = WebhookMapping.model_validate(
    {
        "alerts": "[@] | [?monitor && contains([`0`, `1`], heartbeat.status)]",
        "labels": {
            "alertname": "join(' ', ['Down:', monitor.name])",
            "component": "monitor.name",
            "instance": "monitor.hostname || monitor.url",
            "severity": "'critical'",
        },
        "annotations": {"summary": "msg", "description": "heartbeat.msg"},
        "resolved": "heartbeat.status == `1`",
        "key": "monitor.id",
        "url": "monitor.url",
    }
)
EVENTS = WebhookMapping.model_validate(
    {
        "labels": {
            "alertname": "data.alertname || type",
            "component": "data.component || subject || source",
            "instance": "source",
            "severity": "severity || data.severity",
        },
        "annotations": {
            "summary": "data.summary || data.title || data.message",
            "description": "data.description || data",
        },
        "resolved": "contains(['resolved', 'ok', 'closed'], data.status || status || '')",
        "key": "data.dedup_key || dedupkey || subject",
        "starts_at": "time",
        "url": "data.url",
    }
)
# An alarm that lacks data keeps its state: nobody knows whether it is over. What is no alarm has a
# subject and a text (`SnsMessage.document`).
CLOUDWATCH = WebhookMapping.model_validate(
    {
        "alerts": "[@] | [?!NewStateValue || contains(['ALARM', 'OK'], NewStateValue)]",
        "labels": {
            "alertname": "AlarmName || Subject || 'SNS'",
            "component": "Trigger.Dimensions[0].value || Trigger.Namespace || AlarmName || Subject",
            "instance": "Trigger.Dimensions[?name == 'InstanceId'].value | [0]",
            "metric": "Trigger.MetricName",
            "account": "AWSAccountId",
            "region": "Region",
        },
        "annotations": {
            "summary": "AlarmDescription || Message || NewStateReason",
            "description": "NewStateReason",
        },
        "resolved": "NewStateValue == 'OK'",
        "key": "AlarmArn || AlarmName",
    }
)
SHIPPED = {
    "cloudwatch": CLOUDWATCH,
    "zabbix": ZABBIX,
    "datadog": DATADOG,
    "sentry": SENTRY,
    "uptime-kuma": UPTIME_KUMA,
    CLOUD_EVENTS: EVENTS,
}
