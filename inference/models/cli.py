"""``whodex models``: fetch, check and show the models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from inference.models.errors import ModelError
from inference.models.manifest import EmbedderManifest, Manifest, load_manifests
from inference.models.preparation import is_prepared, prepare
from inference.triton.environment import prepare_environment, prepared_environment
from inference.triton.errors import TritonEnvironmentError
from inference.triton.repository import build_repository
from inference.triton.runtimes import choose_runtime, chosen_runtime, verify
from inference.triton.targets import CONTAINER_TARGETS, ContainerTarget
from whodex.cli.output import print_error, print_line, print_table

app = typer.Typer(no_args_is_help=True, help="The face models: fetch, check and show them.")

_progress = Console(stderr=True)


@app.command("pull")
def pull(
    *,
    server: Annotated[bool, typer.Option(help="Make the environment of the local Triton server as well.")] = True,
) -> None:
    """Fetch the models, prepare them, and make the environment that serves them; what is there stays."""
    with _one_line_errors():
        changed = [_pull_model(manifest) for manifest in load_manifests()]
        if not server:
            return
        changed.append(_pull_environment())
        environment = prepared_environment()
        runtime = chosen_runtime(environment)
        if runtime is None or any(changed):
            with _progress.status("Trying the models"):
                runtime = choose_runtime(environment)
        _report("runtime", runtime, "the models answer as their golden vectors say")


@app.command("verify")
def verify_models() -> None:
    """Check each model's digest, and its golden vector on the runtime that serves it."""
    with _one_line_errors():
        environment = prepared_environment()
        runtime = chosen_runtime(environment) or choose_runtime(environment)
    failed = False
    for manifest in load_manifests():
        try:
            verify(environment, manifest, runtime)
        except (ModelError, TritonEnvironmentError) as error:
            failed = True
            _report(manifest.name, "FAILED", str(error))
        else:
            _report(manifest.name, "ok", f"digest and golden vector, on {runtime}")
    if failed:
        raise typer.Exit(1)


@app.command("list")
def list_models() -> None:
    """Show the models: licence, digest, embedding space, and whether they are prepared."""
    columns = ("Model", "Kind", "Architecture", "Licence", "SHA-256", "#Dimension", "Space", "Prepared")
    print_table(columns, [_row(manifest) for manifest in load_manifests()])


@app.command("repository")
def write_repository(
    directory: Annotated[Path, typer.Argument(help="Where it goes; what is there already is replaced.")],
    target: Annotated[ContainerTarget, typer.Option(help="What serves it in NVIDIA's image of Triton.")],
) -> None:
    """Write a model repository for a Triton server of your own."""
    manifests = load_manifests()
    _refuse_other_contents(directory, {manifest.name for manifest in manifests})
    with _one_line_errors():
        build_repository(directory, manifests, CONTAINER_TARGETS[target], copy=True)
    print_line(f"{directory}: {', '.join(manifest.name for manifest in manifests)}, for {target}")


def _refuse_other_contents(directory: Path, models: set[str]) -> None:
    """A directory that was named by mistake must not be emptied."""
    others = (
        sorted(entry.name for entry in directory.iterdir() if entry.name not in models) if directory.is_dir() else []
    )
    if others:
        print_error(
            f"{directory} holds {others[0]}, which is no model of ours. Name a new directory, or an old repository."
        )
        raise typer.Exit(1)


def _pull_model(manifest: Manifest) -> bool:
    with _progress.status(f"{manifest.title}: fetching {_package(manifest)}"):
        changed = prepare(manifest)
    _report(manifest.name, _outcome(changed=changed), _package(manifest))
    return changed


def _pull_environment() -> bool:
    with _progress.status("NVIDIA Triton: making its environment (200 MB to download)"):
        changed = prepare_environment()
    _report("triton", _outcome(changed=changed), "nvidia-pytriton from PyPI, in an environment of its own")
    return changed


def _outcome(*, changed: bool) -> str:
    return "prepared" if changed else "already prepared"


def _row(manifest: Manifest) -> tuple[str, ...]:
    embedder = manifest if isinstance(manifest, EmbedderManifest) else None
    return (
        manifest.name,
        manifest.kind,
        manifest.title,
        manifest.licence.spdx + ("" if manifest.licence.commercial_use else " (no commercial use)"),
        manifest.source.sha256[:12],
        str(embedder.embedding.dimension) if embedder else "",
        embedder.space if embedder else "",
        "yes" if is_prepared(manifest) else "no",
    )


def _package(manifest: Manifest) -> str:
    source = manifest.source
    return f"{source.package} {source.version} from {'PyPI' if source.registry == 'pypi' else 'npm'}"


def _report(subject: str, outcome: str, detail: str) -> None:
    print_line(f"{subject:<15} {outcome:<17} {detail}")


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (ModelError, TritonEnvironmentError) as error:
        print_error(str(error))
        raise typer.Exit(1) from error
