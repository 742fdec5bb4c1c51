"""What the scheduler is told by its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from api_server.erasures.receipts import ReceiptSigner
from whodex.runtime.settings import Address, RotatingSecret, Secret
from whodex.runtime.store_settings import StoreSettings
from whodex.runtime.tls import MeshSettings


def _checked_seed(seed: SecretStr) -> SecretStr:
    ReceiptSigner.from_seed(seed.get_secret_value())
    return seed


ReceiptSeed = Annotated[SecretStr, AfterValidator(_checked_seed)]


class SchedulerSettings(MeshSettings, StoreSettings):
    """A field `broker_url` is read from WHODEX_BROKER_URL."""

    database_url: Secret
    broker_url: Secret
    # The index is asked for look-alikes, and to leave nothing of what is deleted on its disk.
    indexer_address: Address
    internal_token: RotatingSecret
    # 32 random bytes in base64: the Ed25519 key that signs the receipts of erasures.
    receipt_key: ReceiptSeed
    # How long backups are kept, for receipts to say until when one may hold what was deleted; unset: not declared.
    backup_retention_days: Annotated[int, Field(ge=0, le=36500)] | None = None
    # Where gRPC health answers.
    scheduler_health_listen: Address
