"""Starts the worker that `consumers run` names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from common.kafka import diagnosis
from common.logs import configure
from common.settings import load_settings
from consumers.audit import auditor
from consumers.audit.auditor import Auditor
from consumers.commands.execution import fail, fail_for_use, run_to_end
from consumers.commands.find_worker import make_worker
from consumers.errors import WorkerRefusedError, describe
from consumers.forward import Forward
from consumers.reconcile import reconciler
from consumers.reconcile.reconciler import Reconciler
from consumers.runtime.runtime import Runtime
from consumers.settings import ConsumersSettings

P = TypeVar("P", Auditor, Reconciler, Runtime)


def run(worker: str, url: str | None) -> None:
    """See `consumers.commands.run.run`."""
    settings = load_settings(ConsumersSettings, **({} if url is None else {"forward_url": url}))
    if url is not None and worker != Forward.name:
        fail_for_use(f"--url is for {Forward.name} alone, {worker} would ignore it")
    configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    if worker == reconciler.NAME:
        run_to_end(_with_certificates(lambda: Reconciler(settings)).run())
    elif worker == auditor.NAME:
        run_to_end(_with_certificates(lambda: Auditor(settings)).run())
    else:
        made = make_worker(worker)
        run_to_end(_with_certificates(lambda: Runtime(made, settings)).run())


def _with_certificates(make: Callable[[], P]) -> P:
    try:
        return make()
    except OSError as error:
        fail(f"a certificate of the Kafka connection cannot be read ({describe(error)}): see CONSUMERS_KAFKA_SSL_*")
    except WorkerRefusedError as error:
        fail(str(error))
