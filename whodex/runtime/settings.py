"""How every process is configured: environment variables that start with WHODEX_."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

# host:port; the host of an IPv6 address stands in brackets.
Address = Annotated[str, StringConstraints(pattern=r"^.+:[0-9]{1,5}$")]
Secret = Annotated[SecretStr, StringConstraints(min_length=16)]
# A folder with a file for each setting that is not in the environment, such as `whodex_admin_key`: what Docker and
# Kubernetes mount secrets as.
SECRETS_DIR_VARIABLE = "WHODEX_SECRETS_DIR"
_MIN_SECRET_LENGTH = 16
_MAX_LIVE_SECRETS = 2


def live_secrets(setting: SecretStr) -> list[str]:
    """The secrets that a setting of type `RotatingSecret` holds. All are accepted; the first one is sent."""
    return re.findall(r"[^\s,]+", setting.get_secret_value())


def _check_live_secrets(setting: SecretStr) -> SecretStr:
    secrets = live_secrets(setting)
    if not 1 <= len(secrets) <= _MAX_LIVE_SECRETS:
        raise ValueError("it takes one secret, or two while one replaces the other")
    if any(len(secret) < _MIN_SECRET_LENGTH for secret in secrets):
        raise ValueError(f"a secret has at least {_MIN_SECRET_LENGTH} characters")
    return setting


# Two, separated by a comma or a new line, while one replaces the other.
RotatingSecret = Annotated[SecretStr, AfterValidator(_check_live_secrets)]


class Settings(BaseSettings):
    """The base of each process's settings; a field `triton_address` is read from WHODEX_TRITON_ADDRESS."""

    model_config = SettingsConfigDict(env_prefix="WHODEX_", frozen=True, extra="ignore", env_ignore_empty=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


def load_settings(kind: type[SettingsT]) -> SettingsT:
    """Reads the settings; one that is missing or wrong ends the process with one line that names the variable.

    The environment comes first, then the files in the folder that `WHODEX_SECRETS_DIR` names.
    """
    secrets_dir = os.environ.get(SECRETS_DIR_VARIABLE) or None
    if secrets_dir is not None and not Path(secrets_dir).is_dir():
        sys.exit(f"cannot start: {SECRETS_DIR_VARIABLE}: {secrets_dir} is no folder")
    try:
        return kind(_secrets_dir=secrets_dir)  # type: ignore[call-arg] # pydantic-settings takes it
    except ValidationError as error:
        problems = ", ".join(map(_line, error.errors()))
        sys.exit(f"cannot start: {problems}")


def _line(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    # What concerns several settings names them itself.
    return f"WHODEX_{str(problem['loc'][0]).upper()}: {message}" if problem["loc"] else message
