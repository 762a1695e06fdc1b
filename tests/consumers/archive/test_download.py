"""The files of an hour, over HTTP: downloaded, gone on with, checked."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from consumers.archive.archive import open_archive
from consumers.archive.errors import ArchiveError
from tests.consumers.archive.an_hour import HOUR, LINES, NUMBERS, failure, files_in, read, sequence
from tests.consumers.archive.conftest import MakeSettings
from tests.support.certificates import CertificateFolder
from tests.support.disk import can_mount, mount, unmount
from tests.support.im_archive import StoredFile, archive_text, c2c_line
from tests.support.im_platform import APP_ID, ImPlatform
from tests.support.paths import ROOT
from tests.support.waiting import wait_until


async def test_a_cut_download_goes_on_where_it_ended(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend(["cut:20000", "cut:1000", "cut:0", "cut:0", "cut:2000"])
    assert sequence((await read(archive_settings()))[0]) == NUMBERS
    assert [wants for _, wants, _ in platform.archive.downloads] == [
        *("", "bytes=20000-", "bytes=21000-", "bytes=21000-", "bytes=21000-", "bytes=23000-")
    ]


async def test_a_server_without_ranges_is_asked_for_all_of_it(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.has_ranges = False
    platform.archive.faults.extend(["cut:30000", "cut:20000"])
    assert sequence((await read(archive_settings()))[0]) == NUMBERS
    assert [status for _, _, status in platform.archive.downloads] == [200, 200, 200]


@pytest.mark.parametrize("has_ranges", [True, False])
async def test_a_download_that_comes_no_further_is_given_up_and_what_is_there_is_gone_on_with(
    platform: ImPlatform, archive_settings: MakeSettings, has_ranges: bool
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.has_ranges = has_ranges
    platform.archive.faults.extend(["cut:30000", *(["cut:0"] * 9 if has_ranges else ["cut:30000"] * 9)])
    settings = archive_settings()
    error = await failure(settings)
    assert error.kind == "failing"
    assert "beyond 30000 of" in str(error)
    assert "tried 3 times" in str(error)
    assert len(platform.archive.downloads) == 1 + 3
    assert files_in(settings) == {"part": 30_000}
    platform.archive.faults.clear()
    assert sequence((await read(settings))[0]) == NUMBERS
    assert platform.archive.downloads[-1][1:] == ("bytes=30000-", 206 if has_ranges else 200)


async def test_a_download_that_trickles_comes_to_an_end(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend(["cut:1"] * 1000)
    error = await failure(archive_settings())
    assert error.kind == "failing"
    assert "beyond 3 of" in str(error)


async def test_a_download_that_stalls_is_gone_on_with(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend(["stall:20000"])
    assert sequence((await read(archive_settings(archive_timeout_s=5)))[0]) == NUMBERS
    assert platform.archive.downloads[-1][1] == "bytes=20000-"
    platform.archive.faults.extend(["stall:0"])
    error = await failure(archive_settings(archive_timeout_s=1, archive_attempts=1))
    assert "sends too little within 1 s (CONSUMERS_ARCHIVE_TIMEOUT_S)" in str(error)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_address_that_has_expired_is_asked_for_anew(
    platform: ImPlatform, archive_settings: MakeSettings, status: int
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES, files=2)
    platform.archive.faults.extend(["", "cut:10000", f"status:{status}"])
    assert sequence((await read(archive_settings()))[0]) == NUMBERS
    assert len(platform.calls) == 2
    assert [status for _, _, status in platform.archive.downloads] == [200, 200, status, 206]


async def test_addresses_that_are_never_good_are_given_up(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend(["status:403"] * 99)
    error = await failure(archive_settings())
    assert error.kind == "failing"
    assert "HTTP status 403" in str(error)
    assert len(platform.calls) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_download_that_is_refused_for_now_is_tried_again(
    platform: ImPlatform, archive_settings: MakeSettings, status: int
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend([f"status:{status}"] * 2)
    assert sequence((await read(archive_settings()))[0]) == NUMBERS
    assert len(platform.calls) == 1


async def test_a_redirect_is_not_followed(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.append(f"redirect:{platform.url}/archive/1.gz?sign=q%2Bx%3D")
    error = await failure(archive_settings())
    assert error.kind == "refused"
    assert "redirect" in str(error)
    assert len(platform.archive.downloads) == 1


@pytest.mark.parametrize(
    "url", ["http://localhost:1/x", "http://10.0.0.1/x", "file:///etc/passwd", "http://u:p@127.0.0.1/x"]
)
async def test_a_file_is_not_asked_for_where_no_file_can_be(
    platform: ImPlatform, archive_settings: MakeSettings, url: str
) -> None:
    platform.archive.store("c2c", HOUR, replace(StoredFile.of(b"x"), url=url))
    assert (await failure(archive_settings())).kind == "refused"
    assert platform.archive.downloads == []


async def test_a_wrong_file_is_downloaded_anew_and_nothing_of_it_is_given(
    platform: ImPlatform, archive_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend(["flip", "more"])
    assert sequence((await read(archive_settings()))[0]) == NUMBERS
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "and GzipMD5 is" in warnings[0]
    assert "it has more, and GzipSize is" in warnings[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gzip_md5": "0" * 32}, "and GzipMD5 is 00000000000000000000000000000000"),
        ({"file_md5": "0" * 32}, "and FileMD5 is 00000000000000000000000000000000"),
        ({"file_size": 10}, "unpacks to more than the 10 bytes"),
        ({"gzip_size": 10}, "it has more, and GzipSize is 10"),
        ({"file_size": 10**9}, "and FileSize is 1000000000"),
    ],
    ids=["packed", "unpacked", "a bomb", "longer", "shorter"],
)
async def test_a_file_that_stays_wrong_is_given_up(
    platform: ImPlatform, archive_settings: MakeSettings, changes: dict[str, object], says: str
) -> None:
    file = StoredFile.of(archive_text(APP_ID, "c2c", HOUR, LINES))
    platform.archive.store("c2c", HOUR, replace(file, **changes))  # type: ignore[arg-type]
    settings = archive_settings()
    error = await failure(settings)
    assert error.kind == "corrupt"
    assert says in str(error)
    assert "3 times" in str(error)
    assert files_in(settings) == {}


async def test_a_file_that_is_larger_than_the_disk_is_not_begun(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    file = StoredFile.of(archive_text(APP_ID, "c2c", HOUR, LINES))
    platform.archive.store("c2c", HOUR, replace(file, gzip_size=2**60))
    error = await failure(archive_settings())
    assert error.kind == "disk"
    assert "set CONSUMERS_ARCHIVE_DIR to a larger disk" in str(error)
    assert platform.archive.downloads == []


async def test_a_file_that_changes_between_two_looks_is_taken_anew_and_told(
    platform: ImPlatform, archive_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    platform.archive.put(APP_ID, "c2c", HOUR, LINES[:4000])
    platform.archive.faults.extend(["cut:20000", "status:403", ""])
    changed = iter([False, True])

    def change(_: str) -> None:
        if next(changed):
            platform.archive.put(APP_ID, "c2c", HOUR, LINES)

    platform.fault = change
    assert sequence((await read(archive_settings()))[0]) == NUMBERS
    assert "1 file of" in caplog.text
    assert "changed at the platform" in caplog.text
    assert platform.archive.downloads[-1][1:] == ("", 200)


async def test_a_file_that_changes_behind_its_address_is_asked_for_anew(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    former, latter = (StoredFile.of(archive_text(APP_ID, "c2c", HOUR, lines)) for lines in (LINES[:4000], LINES))
    platform.archive.store("c2c", HOUR, replace(former, packed=latter.packed))
    looks = iter([None, lambda: platform.archive.store("c2c", HOUR, latter)])

    def change(_: str) -> None:
        if (act := next(looks)) is not None:
            act()

    platform.fault = change
    assert sequence((await read(archive_settings()))[0]) == NUMBERS


async def test_a_file_that_changes_and_changes_back_is_there_in_the_end(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    first, second, last = (StoredFile.of(archive_text(APP_ID, "c2c", HOUR, LINES[part::3])) for part in range(3))
    platform.archive.store("c2c", HOUR, first)
    platform.archive.faults.extend(["", "status:403", "", "status:403"])
    lists = iter([[first, last], [second, last], [first, second, last]])
    platform.fault = lambda _: platform.archive.store("c2c", HOUR, *next(lists))
    assert sequence((await read(archive_settings()))[0]) == NUMBERS


async def test_addresses_that_expire_and_files_that_stay_wrong_come_to_an_end_together(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    file = StoredFile.of(archive_text(APP_ID, "c2c", HOUR, LINES))
    platform.archive.store("c2c", HOUR, replace(file, file_md5="0" * 32))
    platform.archive.faults.extend(["cut:20000", "status:403", ""] * 20)
    error = await failure(archive_settings())
    assert error.kind == "corrupt"
    assert len(platform.archive.downloads) <= 12


async def test_after_a_break_of_the_process_what_is_there_is_checked_and_gone_on_with(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    settings = archive_settings()
    platform.archive.put(APP_ID, "c2c", HOUR, LINES, files=2)
    platform.archive.faults.extend(["", "cut:10000", *["cut:0"] * 3])
    assert (await failure(settings)).kind == "failing"
    (whole,) = settings.archive_dir.rglob("*.gz")
    assert {path.suffix for path in settings.archive_dir.rglob("*.*")} == {".gz", ".part"}
    platform.archive.faults.clear()
    platform.archive.downloads.clear()
    assert sequence((await read(settings))[0]) == NUMBERS
    assert [wants for _, wants, _ in platform.archive.downloads] == ["bytes=10000-"]
    assert not whole.exists()


async def test_a_file_that_was_damaged_on_our_disk_is_downloaded_anew(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    settings = archive_settings()
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    with pytest.raises(RuntimeError):
        async with open_archive(settings, APP_ID) as archive, archive.hour(HOUR, "c2c"):
            raise RuntimeError
    (whole,) = settings.archive_dir.rglob("*.gz")
    data = whole.read_bytes()
    for damaged in (data[:-100] + b"!" + data[-99:], data + b"!"):
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(damaged)
        assert sequence((await read(settings))[0]) == NUMBERS


async def test_an_hour_belongs_to_one_process_at_a_time(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    settings = archive_settings()
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    async with open_archive(settings, APP_ID) as archive, archive.hour(HOUR, "c2c"):
        error = await failure(settings)
        assert error.kind == "failing"
        assert "another process" in str(error)
    assert sequence((await read(settings))[0]) == NUMBERS


@pytest.mark.parametrize("blocked", ["a file", "no rights"])
async def test_a_work_folder_that_cannot_be_used_says_so(
    platform: ImPlatform, archive_settings: MakeSettings, tmp_path: Path, blocked: str
) -> None:
    folder = tmp_path / "a file" if blocked == "a file" else Path("/proc/archive")
    if blocked == "a file":
        folder.touch()
    error = await failure(archive_settings(archive_dir=folder))
    assert error.kind == "disk"
    assert "CONSUMERS_ARCHIVE_DIR" in str(error)


@pytest.mark.skipif(not can_mount(), reason="needs root that may mount")
async def test_a_disk_that_fills_while_a_file_is_downloaded_says_so_and_is_gone_on_with(
    platform: ImPlatform, archive_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    folder = tmp_path / "small"
    folder.mkdir()
    mount(folder, size_bytes=64 * 1024)
    try:
        monkeypatch.setattr("consumers.archive.work_folder.HourFolder.check_room", lambda *_: None)
        error = await failure(archive_settings(archive_dir=folder))
        assert error.kind == "disk"
        assert "No space left" in str(error)
        assert 0 < files_in(archive_settings(archive_dir=folder))["part"] <= 64 * 1024
        monkeypatch.undo()
        assert "larger disk" in str(await failure(archive_settings(archive_dir=folder)))
    finally:
        unmount(folder)


async def test_a_platform_that_is_not_there_is_failing(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.store("c2c", HOUR, replace(StoredFile.of(b"x"), url="http://127.0.0.1:1/x"))
    error = await failure(archive_settings())
    assert error.kind == "failing"
    assert "127.0.0.1 cannot be reached (nothing listens there)" in str(error)
    error = await failure(archive_settings(im_apps=platform.credentials(host="http://127.0.0.1:1")))
    assert error.kind == "failing"
    assert "asked 3 times" in str(error)


async def test_a_server_whose_certificate_nobody_vouches_for_is_not_trusted(
    platform: ImPlatform, archive_settings: MakeSettings, tmp_path: Path
) -> None:
    certificates = CertificateFolder(tmp_path)
    files = certificates.write("server", "127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        platform.archive.store("c2c", HOUR, replace(StoredFile.of(b"x"), url=f"{url}/x?sign=q"))
        error = await failure(archive_settings())
        assert error.kind == "failing"
        assert "its certificate is not accepted" in str(error)
        error = await failure(archive_settings(im_apps=platform.credentials(host=url)))
        assert "its certificate is not accepted" in str(error)
    assert asked == []


@pytest.mark.parametrize(
    "fault",
    ["", "cut:100", "stall:5", "flip", "more", "status:500", "status:403", "redirect:http://127.0.0.1:1/x?sign=q%2Bx"],
)
async def test_neither_signature_nor_signed_address_is_ever_told(
    platform: ImPlatform, archive_settings: MakeSettings, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    signatures: list[str] = []
    platform.before_signature = signatures.append
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    platform.archive.faults.extend([fault] * 100)
    told = ""
    try:
        await read(archive_settings(archive_timeout_s=0.5))
    except ArchiveError as error:
        told = "".join(traceback.format_exception(error))
    assert bool(told) == bool(fault)
    assert signatures
    for secret in ("sign=", "q%2Bx", "usersig=", signatures[0], signatures[0][:40]):
        assert secret not in told
        assert secret not in caplog.text


@pytest.mark.parametrize("code", [70009, 60011, "http:500"])
async def test_what_the_platform_says_of_a_signature_is_told_without_it(
    platform: ImPlatform, archive_settings: MakeSettings, code: int | str
) -> None:
    signatures: list[str] = []
    platform.before_signature = signatures.append
    platform.error_info = lambda signature: f"bad usersig={signature}"
    platform.fault = lambda _: code
    told = "".join(traceback.format_exception(await failure(archive_settings())))
    assert signatures[0] not in told


def test_a_process_that_was_killed_is_gone_on_for_by_the_next(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    settings = archive_settings()
    lines = [c2c_line(HOUR, number, CloudCustomData=os.urandom(300).hex()) for number in range(5000)]
    platform.archive.put(APP_ID, "c2c", HOUR, lines)
    platform.archive.faults.append("stall:1000000")
    env = {
        **os.environ,
        "CONSUMERS_IM_APPS": platform.credentials(),
        "CONSUMERS_ARCHIVE_DIR": str(settings.archive_dir),
    }
    command = [sys.executable, "-m", "tests.consumers.archive.reading", HOUR.name]
    with subprocess.Popen(command, cwd=ROOT, env=env) as process:
        wait_until(lambda: files_in(settings).get("part", 0) >= 500_000, timeout=30, what="half a download")
        assert "another process" in str(asyncio.run(failure(settings)))
        process.kill()
    begun = files_in(settings)["part"]
    assert sequence(asyncio.run(read(settings))[0]) == NUMBERS
    assert platform.archive.downloads[-1][1:] == (f"bytes={begun}-", 206)
