"""The settings of a process on a page of the documentation, between two comments: what is around them is by hand."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from common.settings.reference import SettingEntry, SettingSection, reference
from common.settings.settings_group import SettingsGroup


class MissingMarksError(ValueError):
    """The page has not the two comments, in their order."""


def page_with_settings(text: str, settings_class: type[SettingsGroup], program: str) -> str:
    """The page with the settings as they are declared, in place of what stands there.

    Args:
        text: the page as it is.
        settings_class: the settings of the program.
        program: whose command `settings` writes them, as `bridge`.

    Raises:
        MissingMarksError: the page says nowhere where they belong.
    """
    begin = f"<!-- begin: written by `{program} settings --page`, from the declarations. Change those. -->"
    end = f"<!-- end: written by `{program} settings --page` -->"
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise MissingMarksError(f"it has no place for the settings of {program}: the lines\n{begin}\n{end}")
    sections = "\n".join(line for section in reference(settings_class) for line in _lines(section))
    return f"{before}{begin}\n\n{sections}\n{end}{after}"


def write_settings(path: Path, settings_class: type[SettingsGroup], program: str, *, check: bool) -> bool:
    """Bring a page up to date, or see whether it is; whether it was.

    Raises:
        OSError: it cannot be read or written.
        MissingMarksError: it says nowhere where the settings belong.
    """
    text = path.read_text("utf-8")
    expected = page_with_settings(text, settings_class, program)
    if text == expected:
        return True
    if not check:
        path.write_text(expected, "utf-8")
    return False


def _lines(section: SettingSection) -> Iterator[str]:
    yield f"### {section.heading}"
    yield ""
    more = f" More: [{posixpath.basename(section.read_more)}]({section.read_more})." if section.read_more else ""
    yield section.about + more
    yield ""
    yield "| setting | default | values | meaning |"
    yield "| --- | --- | --- | --- |"
    for entry in section.entries:
        cells = f"`{entry.variable}`", _default(entry), entry.values, entry.meaning
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _default(entry: SettingEntry) -> str:
    if entry.default in {"", "required"}:
        return entry.default or "none"
    return f"`{entry.default}`" + (f" ({entry.default_in_words})" if entry.default_in_words else "")
