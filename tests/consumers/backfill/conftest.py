"""The archive of the stand-in for the platform, as the tests of the archive have it."""

from tests.consumers.archive.conftest import archive_settings

__all__ = ["archive_settings"]
