"""The commands of `bridge`: a module of its name says what each takes, and imports what does it when it runs.

So help is there at once: what does it needs a second of CPU to import.
"""

from __future__ import annotations

from common.lazy_command import LazyCommand

SUMMARY = "Tencent Cloud IM callbacks, durably on a Kafka topic."
COMMANDS = {
    "serve": LazyCommand(
        "bridge.commands.serve:serve",
        "Accept callbacks and publish them, until SIGTERM; SIGHUP reloads program and settings.",
    ),
    "reload": LazyCommand(
        "bridge.commands.reload:reload",
        "Let the ingress of this machine take the program as it is installed now, and its settings, and lose nothing.",
    ),
    "settings": LazyCommand(
        "bridge.commands.settings:settings", "Print every setting: its default, its meaning, the values that it takes."
    ),
    "doctor": LazyCommand(
        "bridge.commands.doctor:doctor", "Try everything that the ingress depends on, and say of each fault what to do."
    ),
    "status": LazyCommand(
        "bridge.commands.status:status",
        "Tell since when Kafka is away and why, what waits for it, and when the disk is full or all is drained.",
    ),
    "schemas": LazyCommand(
        "bridge.commands.schemas:schemas", "Write the schemas and the reference of the events, as the code has them."
    ),
    "dev": LazyCommand(
        "bridge.commands.dev:dev",
        "Run everything on this machine, Kafka and Redis included, until Ctrl-C; show what happens.",
    ),
    "demo": LazyCommand(
        "bridge.commands.demo:demo",
        "Show one callback on its whole way, on an embedded Kafka and Redis; fail if any step of it fails.",
    ),
    "send": LazyCommand(
        "bridge.commands.send:send",
        "Post a callback as the platform does, signed, with a documented body or one of your own.",
    ),
    "load": LazyCommand(
        "bridge.commands.load:load",
        "Post many callbacks, as fast as you say, and tell how long the replies take: to size an ingress.",
    ),
    "plan": LazyCommand(
        "bridge.commands.plan:plan",
        "Say what a number of callbacks and users needs: processes, partitions, brokers, Redis, disk for an outage.",
    ),
    "tail": LazyCommand(
        "bridge.commands.tail:tail", "Show a topic live, one line a record: events, dead letters, badges."
    ),
    "console": LazyCommand(
        "bridge.console.command:console",
        "Serve a page that shows what comes in, what became of it, and what to do about what did not.",
    ),
    "drift": LazyCommand(
        "bridge.commands.drift:drift",
        "List what came differently from the platform's documentation: names and types, nothing that a user wrote.",
    ),
    "journal": LazyCommand("bridge.commands.journal:app", "See and publish by hand what the journals hold."),
    "dlq": LazyCommand("bridge.commands.dlq:app", "Read dead letters of the ingress again."),
}
