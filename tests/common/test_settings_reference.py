"""The reference of the settings is what is declared: each with its unit, its range and its default, by concern."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from bridge.settings import BridgeSettings
from common.settings import Settings, SettingsGroup
from common.settings.page import MissingMarksError, page_with_settings
from common.settings.reference import SettingEntry, reference
from consumers.settings import ConsumersSettings
from tests.support.commands import BRIDGE
from tests.support.paths import ROOT

CONSUMERS = BRIDGE.with_name("consumers")
PAGE = ROOT / "docs/settings.md"
PROGRAMS = pytest.mark.parametrize(
    ("settings_class", "program"), [(BridgeSettings, "bridge"), (ConsumersSettings, "consumers")]
)


class Oven(SettingsGroup):
    """How hot it is, and for how long."""

    heading: ClassVar[str] = "Oven"
    longest_s: ClassVar[int | None] = 86_400

    model_config = SettingsConfigDict(env_prefix="OVEN_")

    shelves: int = Field(2, ge=1, le=4, description="Shelves.")
    heat_s: float = Field(7200.0, gt=0, description="Heat.")
    rest_s: float = Field(0.5, ge=0, lt=60, description="Rest.")
    tray_bytes: int = Field(3 * 1024 * 1024, ge=1024, description="Tray.")
    odd_bytes: int = Field(1000, description="Odd.")
    per_tray_bytes_per_minute: int = Field(1024, description="Flow.")
    kept_hours: int = Field(48, description="Kept.")
    fan: bool = Field(True, description="Fan.")
    mode: Literal["top", "bottom"] | None = Field(None, description="Mode, one | of two.")
    key: SecretStr | None = Field(None, description="Key.")
    door: Path = Field(description="Door.")
    recipes: dict[str, str] = Field({}, description="Recipes.")
    name: str = Field("oven", description="Name.")


def entries(settings_class: type[SettingsGroup]) -> dict[str, SettingEntry]:
    return {entry.variable: entry for section in reference(settings_class) for entry in section.entries}


@pytest.mark.parametrize(
    ("variable", "default", "in_words", "values"),
    [
        ("OVEN_SHELVES", "2", "", "whole number, from 1 up to 4"),
        ("OVEN_HEAT_S", "7200", "2 h", "seconds, above 0 up to 86400"),
        ("OVEN_REST_S", "0.5", "", "seconds, from 0 below 60"),
        ("OVEN_TRAY_BYTES", "3145728", "3 MiB", "bytes, from 1024"),
        ("OVEN_ODD_BYTES", "1000", "", "bytes"),
        ("OVEN_PER_TRAY_BYTES_PER_MINUTE", "1024", "", "bytes per minute"),
        ("OVEN_KEPT_HOURS", "48", "2 d", "hours"),
        ("OVEN_FAN", "true", "", "`true`, `false`"),
        ("OVEN_MODE", "", "", "`top`, `bottom`"),
        ("OVEN_KEY", "", "", "secret"),
        ("OVEN_DOOR", "required", "", "path"),
        ("OVEN_RECIPES", "{}", "", "JSON"),
        ("OVEN_NAME", "oven", "", "text"),
    ],
)
def test_a_setting_has_its_default_unit_and_range(variable: str, default: str, in_words: str, values: str) -> None:
    entry = entries(Oven)[variable]
    assert (entry.default, entry.default_in_words, entry.values) == (default, in_words, values)


@PROGRAMS
def test_every_setting_is_there_once_and_in_the_group_that_declares_it(
    settings_class: type[Settings], program: str
) -> None:
    variables = [entry.variable for section in reference(settings_class) for entry in section.entries]
    assert sorted(variables) == sorted(f"{program}_{name}".upper() for name in settings_class.model_fields)
    assert all(entry.meaning for entry in entries(settings_class).values())
    headings = [section.heading for section in reference(settings_class)]
    assert len(headings) == len(set(headings))


@PROGRAMS
def test_no_two_groups_have_a_setting_or_a_check_of_one_name(settings_class: type[Settings], program: str) -> None:
    """Of two checks of one name only one would run, of two settings one would be hidden."""
    found: dict[str, str] = {}
    for group in settings_class.__mro__:
        if issubclass(group, SettingsGroup) and group is not SettingsGroup:
            own = {
                *vars(group).get("__annotations__", {}),
                *(name for name in vars(group) if name.startswith("_check")),
            }
            for name in own - {"heading", "read_more", "longest_s"}:
                assert name not in found, f"{program}: {group.__name__} and {found[name]} have {name}"
                found[name] = group.__name__


@PROGRAMS
def test_only_groups_with_a_heading_declare_settings(settings_class: type[Settings], program: str) -> None:
    for group in settings_class.__mro__:
        declared = settings_class.model_fields.keys() & vars(group).get("__annotations__", {}).keys()
        assert not declared or "heading" in vars(group), f"{program}: {declared} belong into a group"


@PROGRAMS
def test_the_page_is_up_to_date(settings_class: type[Settings], program: str) -> None:
    text = PAGE.read_text("utf-8")
    assert page_with_settings(text, settings_class, program) == text, f"run {program} settings --page docs/settings.md"


def test_what_is_around_the_settings_stays_and_bars_do_not_end_cells() -> None:
    page = page_with_settings(empty_page("oven"), Oven, "oven")
    assert page.startswith("# Before\n")
    assert page.endswith("\nAfter\n")
    assert "| `OVEN_TRAY_BYTES` | `3145728` (3 MiB) | bytes, from 1024 | Tray. |" in page
    assert "Mode, one \\| of two." in page
    assert page_with_settings(page, Oven, "oven") == page


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(MissingMarksError, match="begin: written by `oven settings"):
        page_with_settings(empty_page("bridge"), Oven, "oven")


def test_a_stale_page_is_told_and_written(tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text(empty_page("consumers"))

    def consumers_settings(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CONSUMERS, "settings", "--page", page, *options], capture_output=True, text=True, timeout=60, check=False
        )

    stale = consumers_settings("--check")
    assert (stale.returncode, page.read_text()) == (1, empty_page("consumers"))
    assert stale.stdout == f"stale: {page}: run consumers settings --page {page}\n"
    assert consumers_settings().returncode == 0
    assert "CONSUMERS_REDIS_URL" in page.read_text()
    assert consumers_settings("--check").returncode == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"# Nothing\n", "it has no place for the settings of bridge"),
        (b"\xff", ""),
    ],
)
def test_a_page_that_cannot_be_used_is_told_without_a_traceback(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    page = tmp_path / "settings.md"
    if content is not None:
        page.write_bytes(content)
    done = subprocess.run(
        [BRIDGE, "settings", "--page", page, "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {page} cannot be ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def empty_page(program: str) -> str:
    return (
        "# Before\n"
        f"<!-- begin: written by `{program} settings --page`, from the declarations. Change those. -->\n"
        f"<!-- end: written by `{program} settings --page` -->\n"
        "After\n"
    )
