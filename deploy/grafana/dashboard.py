"""The dashboard: first whether all is well and how long there is, then where the trouble is, then the workers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from deploy.grafana.panels import SOURCE, BigNumber, Graph, Series, graph_panel, number_panel

INGRESS = '{instance=~"$instance"}'
WORKER = '{worker=~"$worker"}'
GREEN, YELLOW, RED = "green", "orange", "red"
HEIGHT, STAT_HEIGHT, COLUMNS = 8, 4, 24


def _refused(reasons: str) -> str:
    return f'sum by (reason) (rate(bridge_refused_total{{instance=~"$instance", {reasons}}}[$__rate_interval])) > 0'


def _quantiles(metric: str, selector: str = INGRESS) -> list[Series]:
    rate = f"sum by (le) (rate({metric}_bucket{selector}[$__rate_interval]))"
    return [Series(f"histogram_quantile({share}, {rate})", f"{share:.0%}") for share in (0.5, 0.99)]


NUMBERS = (
    BigNumber(
        "Takes callbacks",
        "none",
        f"min(bridge_ready{INGRESS})",
        [(None, RED), (1, GREEN)],
        [("0", "NO", RED), ("1", "yes", GREEN)],
        "Whether every ingress can make callbacks durable: /readyz.",
    ),
    BigNumber(
        "Kafka",
        "none",
        f"min(bridge_kafka_ok{INGRESS})",
        [(None, RED), (1, GREEN)],
        [("0", "AWAY", RED), ("1", "confirms", GREEN)],
        "While it is away callbacks are kept on disk, and answered 200.",
    ),
    BigNumber(
        "Disk",
        "none",
        f"min(bridge_disk_ok{INGRESS})",
        [(None, RED), (1, GREEN)],
        [("0", "FAILS", RED), ("1", "ok", GREEN)],
    ),
    BigNumber(
        "Journal full in",
        "s",
        # Without growth there is no such time.
        f"min((bridge_process_journal_room_bytes{INGRESS} / -deriv(bridge_process_journal_room_bytes{INGRESS}[10m]))"
        f" and deriv(bridge_process_journal_room_bytes{INGRESS}[10m]) < 0)",
        [(None, RED), (7200, YELLOW), (6 * 3600, GREEN)],
        description="If it grows on as in the last 10 minutes; of the process that is full first.",
    ),
    BigNumber(
        "Events waiting",
        "short",
        f"sum(bridge_events_waiting{INGRESS})",
        [(None, GREEN), (10_000, YELLOW)],
        description="Acknowledged, or about to be, and not in Kafka yet.",
    ),
    BigNumber(
        "Oldest waiting",
        "s",
        f"max(bridge_oldest_waiting_seconds{INGRESS})",
        [(None, GREEN), (10, YELLOW), (300, RED)],
    ),
    BigNumber(
        "Callbacks refused in 15 min, which do not come again",
        "short",
        'sum(increase(bridge_refused_total{instance=~"$instance", '
        'reason=~"bodies|in_flight|journal_full|deadline|fault|record_too_large"}[15m]))',
        [(None, GREEN), (1, RED)],
    ),
    BigNumber(
        "Workers: oldest event",
        "s",
        f"max(consumers_oldest_unhandled_seconds{WORKER})",
        [(None, GREEN), (60, YELLOW), (300, RED)],
    ),
)
ROWS: Sequence[tuple[str, Sequence[Graph]]] = (
    (
        "Callbacks",
        [
            Graph(
                "Callbacks taken",
                "reqps",
                [Series(f"sum by (instance) (rate(bridge_accepted_total{INGRESS}[$__rate_interval]))", "{{instance}}")],
            ),
            Graph("Refused, by reason", "reqps", [Series(_refused('reason!=""'), "{{reason}}")]),
            Graph(
                "Replies",
                "s",
                _quantiles("bridge_reply_seconds"),
                "The platform waits 2 s, the bridge answers within half a second.",
            ),
        ],
    ),
    (
        "What waits for Kafka",
        [
            Graph(
                "Journal on disk, and its budget",
                "bytes",
                [
                    Series(f"bridge_process_journal_bytes{INGRESS}", "{{instance}} {{process}}"),
                    Series(f"max(bridge_process_journal_budget_bytes{INGRESS})", "budget of a process"),
                ],
            ),
            Graph(
                "Events waiting",
                "short",
                [Series(f"bridge_process_events_waiting{INGRESS}", "{{instance}} {{process}}")],
            ),
            Graph(
                "Published, by topic",
                "wps",
                [Series(f"sum by (topic) (rate(bridge_published_total{INGRESS}[$__rate_interval]))", "{{topic}}")],
            ),
            Graph("From acceptance to Kafka", "s", _quantiles("bridge_publish_seconds")),
            Graph("Syncs of the disk", "s", _quantiles("bridge_sync_seconds")),
            Graph(
                "Free on the disk",
                "bytes",
                [Series(f"bridge_disk_free_bytes{INGRESS}", "{{instance}}")],
            ),
        ],
    ),
    (
        "Processes",
        [
            Graph(
                "Processor",
                "percentunit",
                [
                    Series(
                        f"rate(bridge_process_cpu_seconds_total{INGRESS}[$__rate_interval])",
                        "{{instance}} {{process}}",
                    )
                ],
                "1 is one core.",
            ),
            Graph(
                "Memory",
                "bytes",
                [Series(f"bridge_process_resident_memory_bytes{INGRESS}", "{{instance}} {{process}}")],
            ),
            Graph("Event loop is late", "s", _quantiles("bridge_loop_lag_seconds")),
            Graph(
                "In flight and connections",
                "short",
                [
                    Series(f"sum by (instance) (bridge_in_flight{INGRESS})", "in flight {{instance}}"),
                    Series(f"sum by (instance) (bridge_connections{INGRESS})", "connections {{instance}}"),
                ],
            ),
            Graph("Records that gather", "short", _quantiles("bridge_gathered_records")),
            Graph(
                "Restarts and reloads",
                "short",
                [
                    Series(
                        f"sum by (instance) (increase(bridge_restarts_total{INGRESS}[$__rate_interval]))",
                        "ended unasked: {{instance}}",
                    ),
                    Series(
                        f"sum by (outcome) (increase(bridge_reloads_total{INGRESS}[$__rate_interval]))",
                        "reloads: {{outcome}}",
                    ),
                    Series(f"max(bridge_settings_refused{INGRESS})", "a file of settings is wrong"),
                ],
            ),
            Graph(
                "Dead letters and quarantine",
                "short",
                [
                    Series(
                        f"sum by (reason) (increase(bridge_dead_letters_total{INGRESS}[$__rate_interval])) > 0",
                        "dead letters: {{reason}}",
                    ),
                    Series(f"max(bridge_quarantine_files{INGRESS})", "in quarantine"),
                ],
            ),
        ],
    ),
    (
        "Workers",
        [
            Graph(
                "Lag",
                "short",
                [Series(f"sum by (worker) (consumers_lag_events{WORKER})", "{{worker}}")],
            ),
            Graph(
                "Handled",
                "ops",
                [
                    Series(
                        f"sum by (worker) (rate(consumers_handled_events_total{WORKER}[$__rate_interval]))",
                        "{{worker}}",
                    )
                ],
            ),
            Graph("Batches", "s", _quantiles("consumers_batch_seconds", WORKER)),
            Graph(
                "Retries and dead letters",
                "short",
                [
                    Series(
                        f"sum by (worker, cause) (increase(consumers_retries_total{WORKER}[$__rate_interval])) > 0",
                        "{{worker}} tried again: {{cause}}",
                    ),
                    Series(
                        "sum by (worker, reason)"
                        f" (increase(consumers_dead_letters_total{WORKER}[$__rate_interval])) > 0",
                        "{{worker}} gave up: {{reason}}",
                    ),
                ],
            ),
            Graph("Stale badges", "short", [Series("max by (app) (consumers_stale_badges)", "app {{app}}")]),
            Graph(
                "Messages sent and not here",
                "short",
                [
                    Series("max by (app, chat) (consumers_backfill_missing_messages)", "app {{app}}, {{chat}}"),
                    Series(
                        "max by (app, chat) (consumers_backfill_expired_hours) > 0",
                        "hours that expired: app {{app}}, {{chat}}",
                    ),
                ],
            ),
            Graph(
                "Waits, or has stopped",
                "none",
                [
                    Series(f"max by (worker) (consumers_waiting{WORKER})", "{{worker}} waits"),
                    Series(f"max by (worker) (consumers_breaker_open{WORKER})", "{{worker}} has stopped"),
                ],
            ),
        ],
    ),
    (
        "Audit",
        [
            Graph(
                "Missing, waiting, not proven",
                "short",
                [
                    Series(
                        'max by (state) (consumers_audit_records{state=~"missing|waiting|unproven|expired"})',
                        "{{state}}",
                    ),
                    Series("max(consumers_audit_gone_records)", "gone before their time"),
                ],
            ),
            Graph("Since when it is complete", "s", [Series("max(consumers_audit_complete_age_seconds)", "ago")]),
            Graph(
                "Duplicates, and silent processes",
                "short",
                [
                    Series("max(consumers_audit_duplicates)", "duplicates"),
                    Series("max(consumers_audit_silent_processes)", "silent processes"),
                ],
            ),
        ],
    ),
)


def dashboard_json() -> str:
    """The dashboard as Grafana reads it."""
    built = (
        dashboard.Dashboard("IM bridge")
        .uid("im-bridge")
        .description("Made by `make metrics` from deploy/grafana/dashboard.py.")
        .tags(["im-bridge"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("instance", "bridge_ready", "Ingress"))
        .with_variable(_variable("worker", "consumers_ready", "Worker"))
    )
    width = COLUMNS // len(NUMBERS)
    for number in NUMBERS:
        built = built.with_panel(number_panel(number).height(STAT_HEIGHT).span(width))
    for title, graphs in ROWS:
        built = built.with_row(dashboard.Row(title))
        for graph in graphs:
            built = built.with_panel(graph_panel(graph).height(HEIGHT).span(COLUMNS // 3))
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variable(name: str, metric: str, label: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(f"label_values({metric}, {name})")
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )
