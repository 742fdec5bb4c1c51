"""The Celery application. Each setting's reason stands beside it; docs/decisions/ has the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from celery import Celery
from celery.signals import setup_logging, worker_ready

from inference.worker.context import WorkerContext
from inference.worker.execution import run_claims
from inference.worker.pipes import announce_ready, stop_requested
from inference.worker.registry import Task, load_tasks
from inference.worker.settings import WorkerSettings
from whodex.errors import WhodexError
from whodex.runtime.log import configure_logging, get_logger
from whodex.runtime.settings import load_settings

DAY_SECONDS = 86_400
_log = get_logger()


def make_app(settings: WorkerSettings, tasks: Mapping[str, Task]) -> Celery:
    """Builds the application with one Celery task per declared task."""
    app = Celery("whodex", broker=settings.broker_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        # A message is only a doorbell: losing one costs a sweep, so nothing here tries to make it durable.
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        # Longer than any task: a doorbell must not be delivered again while it is being answered.
        broker_transport_options={"visibility_timeout": DAY_SECONDS},
        broker_connection_retry_on_startup=True,
        # The broker's connection does not pay for events and remote control that nobody reads.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        # Decoders and allocators leak a little; a fresh child costs a second.
        worker_max_tasks_per_child=500,
        worker_hijack_root_logger=False,
    )
    for task in tasks.values():
        _add(app, settings, task)
    return app


def _add(app: Celery, settings: WorkerSettings, task: Task) -> None:
    declaration = task.declaration

    def doorbell() -> None:
        try:
            may_be_more = run_claims(task, _context(settings))
        except WhodexError as error:
            # The sweep rings again; what was claimed comes back when its lease lapses.
            _log.warning("the api_server is away", why=str(error))
            return
        if may_be_more:
            app.send_task(declaration.name, queue=declaration.queue)

    app.task(
        doorbell,
        name=declaration.name,
        soft_time_limit=declaration.soft_time_limit.total_seconds(),
        time_limit=declaration.time_limit.total_seconds(),
    )


@cache
def _context(settings: WorkerSettings) -> WorkerContext:
    # Called within a task, so after the fork: channels do not survive one.
    return WorkerContext(settings, stop_requested)


@setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _keep_our_logging(**_: object) -> None:
    configure_logging("worker")


@worker_ready.connect  # type: ignore[untyped-decorator]  # as above
def _say_ready(**_: object) -> None:
    announce_ready()


def run_worker(queues: str, processes: int) -> None:
    """Runs Celery in this process until it is told to stop.

    Args:
        queues: names separated by commas.
        processes: how many children work side by side: while one waits for the models, another decodes.
    """
    settings = load_settings(WorkerSettings)
    app = make_app(settings, load_tasks())
    flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--pool=prefork"]
    flags.append(f"--concurrency={processes}")
    app.worker_main(["worker", f"--queues={queues}", f"--hostname={queues.replace(',', '-')}@%h", *flags])
