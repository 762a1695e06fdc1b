"""The commands of `consumers`, a module each, and what they have in common: execution.py, find_worker.py."""

from __future__ import annotations

from common.lazy_command import LazyCommand

SUMMARY = "Workers on the topic of events."
COMMANDS = {
    "run": LazyCommand("consumers.commands.run:run", "Run a worker until SIGTERM or Ctrl-C."),
    "settings": LazyCommand(
        "consumers.commands.settings:settings",
        "Print every setting: its default, its meaning, the values that it takes.",
    ),
    "doctor": LazyCommand(
        "consumers.commands.doctor:doctor",
        "Try everything that the workers depend on, and say of each fault what to do.",
    ),
    "status": LazyCommand(
        "consumers.commands.status:status", "Tell how far a worker is behind, what it waits for, its dead letters."
    ),
    "audit": LazyCommand(
        "consumers.commands.audit:app",
        "Tell whether all is on the topics that the ingress processes have acknowledged.",
    ),
    "badge": LazyCommand("consumers.commands.badge:app", "Look at badges, and make them anew."),
    "backfill": LazyCommand(
        "consumers.commands.backfill:backfill",
        "Publish the messages of the platform's archive of which no event is on the topic.",
    ),
    "dlq": LazyCommand(
        "consumers.commands.dlq:app", "Look at dead letters, give them to their worker again, or mark them as done."
    ),
    "desk": LazyCommand(
        "consumers.commands.desk:desk",
        "Answer the page of `bridge console`, which starts it: badges, workers, replays; for nobody else.",
        is_for_programs=True,
    ),
}
