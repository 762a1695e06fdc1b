"""`consumers run`: one worker in this process, until a signal asks to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from common.kafka import diagnosis
from common.logs import configure
from common.settings import load_settings
from consumers.commands.execution import fail, run_to_end
from consumers.commands.find_worker import find_worker
from consumers.errors import describe
from consumers.reconcile import reconciler
from consumers.reconcile.reconciler import Reconciler
from consumers.runtime.runtime import Runtime
from consumers.settings import ConsumersSettings


def run(
    worker: Annotated[
        str,
        typer.Argument(
            metavar="WORKER", help="`badges`, `forward`, `reconcile`, or a class of yours as `package.module:Class`."
        ),
    ],
    url: Annotated[str | None, typer.Option(help="For `forward`: where to post (CONSUMERS_FORWARD_URL).")] = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    settings = load_settings(ConsumersSettings, **({} if url is None else {"forward_url": url}))
    configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    try:
        process = Reconciler(settings) if worker == reconciler.NAME else Runtime(find_worker(worker)(), settings)
    except OSError as error:
        fail(f"a certificate of the Kafka connection cannot be read ({describe(error)}): see CONSUMERS_KAFKA_SSL_*")
    run_to_end(process.run())
