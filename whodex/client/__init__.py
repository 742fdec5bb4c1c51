"""The Python client: `whodex.Client`."""

from whodex.client.client import Client
from whodex.client.configuration import Configuration, find_configuration
from whodex.client.errors import ConfigurationError
from whodex.client.pages import Pages

__all__ = ["Client", "Configuration", "ConfigurationError", "Pages", "find_configuration"]
