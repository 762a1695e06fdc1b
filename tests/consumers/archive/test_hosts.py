"""From where files are downloaded, and from where not."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from consumers.archive.hosts import FileHosts, HostRefusedError, download_session
from consumers.settings import ConsumersSettings
from tests.support.im_platform import ImPlatform

ANY = FileHosts([])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/a",
        "/etc/passwd",
        "",
        "http://",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://user:password@example.com/",
        "http://user@example.com/",
        "http://127.0.0.1/",
        "http://127.8.9.10:6379/",
        "http://2130706433/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://a.0x7f000001/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://224.0.0.1/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
    ],
)
def test_an_address_that_no_file_can_have_is_refused(url: str) -> None:
    with pytest.raises(HostRefusedError):
        ANY.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a?q-sign=a%2Bb%3D&x",
        "http://example.com:8080/",
        "https://8.8.8.8/",
        "http://[2606:4700::1]/",
    ],
)
def test_a_public_address_is_taken_as_it_is_written(url: str) -> None:
    assert str(ANY.check_url(url)) == url


def test_a_refusal_of_a_private_address_names_the_setting_that_allows_it() -> None:
    with pytest.raises(HostRefusedError, match=r"10\.1\.2\.3 .*CONSUMERS_ARCHIVE_PRIVATE_HOSTS"):
        ANY.check_url("http://10.1.2.3/")


def test_trusted_hosts_may_have_any_address() -> None:
    hosts = FileHosts(["files.example.com", "*.myqcloud.com", "10.1.2.3"])
    for host in ("files.example.com", "FILES.example.com.", "a.b.myqcloud.com", "10.1.2.3"):
        hosts.check_address(host, "10.1.2.3")
    for host in ("example.com", "a.files.example.com", "myqcloud.com", "evilmyqcloud.com", "10.1.2.4"):
        with pytest.raises(HostRefusedError):
            hosts.check_address(host, "10.1.2.3")


async def test_a_name_is_judged_by_the_address_that_is_connected_to(platform: ImPlatform) -> None:
    url = ANY.check_url(f"http://localhost:{platform.port}/archive/1.gz")
    async with download_session(ANY) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(url)
    assert isinstance(caught.value.os_error, HostRefusedError)
    async with download_session(FileHosts(["localhost"])) as session, session.get(url) as response:
        assert response.status == 403


async def test_a_name_with_one_private_address_of_several_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(*_: Any, **__: Any) -> list[dict[str, Any]]:
        common = {"hostname": "x", "port": 80, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [{**common, "host": "8.8.8.8"}, {**common, "host": "10.0.0.1"}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", both)
    async with download_session(ANY) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get("http://files.example.com/")
    assert isinstance(caught.value.os_error, HostRefusedError)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, platform: ImPlatform) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url = f"http://localhost:{platform.port}/archive/1.gz"
    async with download_session(FileHosts(["localhost"])) as session, session.get(url) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    "name", ["", "http://files.example.com", "files.example.com:80", "*", "*.", "a/b", "a b", "*.*.com", "-a.com", 7]
)
def test_a_setting_that_names_no_host_says_so(name: str | int) -> None:
    with pytest.raises(ValidationError, match=r"no name of a host|valid string"):
        ConsumersSettings.model_validate({"archive_private_hosts": [name]})


def test_hosts_of_the_setting_are_compared_without_regard_to_case() -> None:
    settings = ConsumersSettings.model_validate({"archive_private_hosts": [" Files.Example.COM. ", "*.MyQcloud.com"]})
    assert settings.archive_private_hosts == ["files.example.com", "*.myqcloud.com"]
