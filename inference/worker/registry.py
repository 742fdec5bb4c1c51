"""Which function does which task."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

import inference.tasks
from inference.worker.claims import ClaimedItem
from inference.worker.context import WorkerContext
from whodex.runtime.tasks import TaskDeclaration, declaration_of, declared_tasks

# Does the work of one claim; returns one result per item, in order. Raises `MediaError` for an item that can never
# succeed; whatever else it raises is tried again. After an exception each item of the claim is tried on its own.
Implementation = Callable[[WorkerContext, Sequence[ClaimedItem[Any]]], Sequence[Message]]

# Names what an item's payload is about, for logs.
Describe = Callable[[Any], str]

_implementations: dict[str, tuple[Implementation, Describe]] = {}


class RegistryError(Exception):
    """The code does not do what the contract declares, or cannot be imported."""


@dataclass(frozen=True)
class Task:
    """A declared task and the function that does it."""

    declaration: TaskDeclaration
    implementation: Implementation
    describe: Describe


def implements(payload: type[Message], *, describe: Describe) -> Callable[[Implementation], Implementation]:
    """Marks a function as the implementation of the task whose payload this is.

    Args:
        payload: the task's payload message.
        describe: names what a payload is about: the resource, for the log lines of its work.
    """

    def register(implementation: Implementation) -> Implementation:
        name = declaration_of(payload()).name
        if name in _implementations:
            raise RegistryError(f"task {name} has two implementations")
        _implementations[name] = (implementation, describe)
        return implementation

    return register


def load_tasks() -> Mapping[str, Task]:
    """Imports every module of `inference.tasks` and matches what it implements with what is declared.

    Raises:
        RegistryError: a module cannot be imported, or a declared task has no implementation.
    """
    for module in pkgutil.iter_modules(inference.tasks.__path__, "inference.tasks."):
        _import(module.name)
    declared = declared_tasks()
    missing = sorted(declared.keys() - _implementations.keys())
    if missing:
        raise RegistryError(f"declared tasks without an implementation: {', '.join(missing)}")
    return {name: Task(declaration, *_implementations[name]) for name, declaration in declared.items()}


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except RegistryError:
        raise
    # A module can fail to import with any exception; all of them mean the same to who starts a worker.
    except Exception as error:
        raise RegistryError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
