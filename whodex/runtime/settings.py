"""How every process is configured: environment variables that start with WHODEX_."""

from __future__ import annotations

import sys
from typing import Annotated, Any, TypeVar

from pydantic import SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

# host:port; the host of an IPv6 address stands in brackets.
Address = Annotated[str, StringConstraints(pattern=r"^.+:[0-9]{1,5}$")]
Secret = Annotated[SecretStr, StringConstraints(min_length=16)]


class Settings(BaseSettings):
    """The base of each process's settings; a field `triton_address` is read from WHODEX_TRITON_ADDRESS."""

    model_config = SettingsConfigDict(env_prefix="WHODEX_", frozen=True, extra="ignore", env_ignore_empty=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


def load_settings(kind: type[SettingsT]) -> SettingsT:
    """Reads the settings; one that is missing or wrong ends the process with one line that names the variable."""
    try:
        return kind()
    except ValidationError as error:
        problems = ", ".join(map(_line, error.errors()))
        sys.exit(f"cannot start: {problems}")


def _line(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    # What concerns several settings names them itself.
    return f"WHODEX_{str(problem['loc'][0]).upper()}: {message}" if problem["loc"] else message
