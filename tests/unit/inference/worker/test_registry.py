"""A worker whose code and contract differ must say so, and not start."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

import inference.tasks
from inference.worker import registry
from inference.worker.registry import RegistryError, implements, load_tasks
from whodex.runtime.tasks import declared_tasks
from whodex.v1 import tasks_pb2


@pytest.fixture
def add_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts one more module into the package of the tasks, as a bad deploy would."""
    monkeypatch.setattr(inference.tasks, "__path__", [*inference.tasks.__path__, str(tmp_path)])

    def add(source: str) -> None:
        (tmp_path / "broken_task.py").write_text(dedent(source))

    yield add
    sys.modules.pop("inference.tasks.broken_task", None)


def test_every_declared_task_has_an_implementation():
    assert load_tasks().keys() == declared_tasks().keys()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("from services.worker.src import tasks", "No module named 'services'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(add_module, source, problem):
    add_module(source)
    with pytest.raises(RegistryError, match=r"inference\.tasks\.broken_task cannot be imported") as caught:
        load_tasks()
    assert problem in str(caught.value)


def test_a_second_implementation_is_refused():
    load_tasks()
    with pytest.raises(RegistryError, match=r"whodex\.delete_blobs has two"):
        implements(tasks_pb2.DeleteBlobsPayload, describe=str)(lambda _context, _items: [])


def test_an_implementation_without_a_declaration_is_refused(add_module):
    add_module("""
        from inference.worker.registry import implements
        from whodex.v1 import tasks_pb2

        @implements(tasks_pb2.DeleteBlobsResult, describe=str)
        def undeclared(context, items):
            return []
    """)
    with pytest.raises(RegistryError, match="DeleteBlobsResult is not the payload of a task"):
        load_tasks()


def test_a_declared_task_without_an_implementation_is_named(monkeypatch):
    load_tasks()
    known = dict(registry._implementations)
    del known["whodex.process_video"]
    monkeypatch.setattr(registry, "_implementations", known)
    with pytest.raises(RegistryError, match=r"without an implementation: whodex\.process_video"):
        load_tasks()
