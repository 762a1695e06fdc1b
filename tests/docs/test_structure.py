"""Pages agree with each other and with the code: links, translations, names of settings, metrics, commands, targets."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bridge.events import registry
from bridge.settings import BridgeSettings
from consumers.settings import ConsumersSettings
from tests.deploy.metric_names import metric_names
from tests.docs.markdown import CHINESE, Block, Page, every_page, page, pages, translated
from tests.support.commands import BRIDGE
from tests.support.paths import ROOT

EVERY_PAGE = pytest.mark.parametrize("page", pages(), ids=str)
ENGLISH = [page for page in pages() if CHINESE not in page.path and (ROOT / translated(page.path)).exists()]
OF_COMPOSE = {"BRIDGE_BIND"}
"""Variables of docker-compose.yml that the processes do not know."""
MOST_LINES_OF_README = 172
PROGRAMS = ("bridge", "im-bridge", "consumers")
_FURTHER = {name for entry in registry.ENTRIES for name in entry.callback.answers.fields}
"""Fields that a reply to the platform may have beside a code."""


def test_readme_is_short() -> None:
    assert len(page("README.md").text.splitlines()) <= MOST_LINES_OF_README


def test_readme_and_the_pages_for_newcomers_are_there_in_chinese() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/console.md", "docs/outage.md", "docs/faq.md"} <= {
        page.path for page in ENGLISH
    }
    strays = {page.path for page in pages() if CHINESE in page.path} - {translated(page.path) for page in ENGLISH}
    assert strays == set(), "each Chinese page has an English one"


@pytest.mark.parametrize("english", ENGLISH, ids=str)
def test_a_translation_has_the_same_headings_and_the_same_blocks(english: Page) -> None:
    chinese = page(translated(english.path))
    assert [level for level, _ in chinese.headings] == [level for level, _ in english.headings]
    assert [_without_words(block) for block in chinese.blocks] == [_without_words(block) for block in english.blocks]


def test_a_translation_is_one() -> None:
    for english in ENGLISH:
        chinese = page(translated(english.path))
        letters = re.findall(r"[\u4e00-\u9fff]", chinese.text)
        assert len(letters) > len(english.text) / 20, f"{chinese.path} is hardly Chinese"


@pytest.mark.parametrize("page", every_page(), ids=str)
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links():
        path, _, anchor = link.partition("#")
        target = (ROOT / page.path).parent / path if path else ROOT / page.path
        assert target.exists(), f"{page.path} links to {link}"
        if anchor:
            assert anchor in _page_of(target).anchors(), f"{page.path} links to {link}"


@EVERY_PAGE
def test_every_setting_that_is_named_exists(page: Page) -> None:
    known = {f"BRIDGE_{name.upper()}" for name in BridgeSettings.model_fields}
    known |= {f"CONSUMERS_{name.upper()}" for name in ConsumersSettings.model_fields}
    named = set(re.findall(r"\b(?:BRIDGE|CONSUMERS)_[A-Z0-9_]*[A-Z0-9]\b(?!_)", page.text))
    unknown = {
        name for name in named if name.removesuffix("_FILE") not in known | OF_COMPOSE and not _is_family(name, known)
    }
    assert unknown == set()


@EVERY_PAGE
def test_every_metric_that_is_named_exists(page: Page) -> None:
    for name in re.findall(r"\b(?:bridge|consumers)_[a-z_]*[a-z]\b", page.text):
        assert name in metric_names(), f"{page.path} names the metric {name}"


def test_every_reason_of_a_refusal_is_explained() -> None:
    source = (ROOT / "bridge/ingress/refusals.py").read_text()
    reasons = set(re.findall(r'HTTPStatus\.\w+,\s+"(\w+)"', source))
    assert len(reasons) >= 20
    table = page("docs/operations.md").text.partition("## Why a callback is refused")[2].partition("\n## ")[0]
    named = {reason for row in table.splitlines() for reason in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert reasons <= named


def test_the_codes_of_decisions_are_those_of_the_platforms_pages() -> None:
    table = page("docs/decisions.md").text.partition("## The codes that there are")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines() if row.startswith("| `")]
    told = {command: row for row in rows for command in re.findall(r"`([\w.]+)`", row[0])}
    entries = {entry.callback.command: entry for entry in registry.ENTRIES if entry.callback.awaits_answer}
    assert told.keys() == entries.keys()
    for command, (_, allow, refuse, own, more) in told.items():
        documented = entries[command].callback.answers
        ranges = {str(code).replace("-", " to ") for code in (*documented.codes, *documented.item_codes)}
        assert {allow, refuse, *filter(None, [own]), *(["2"] if "2 drops" in more else [])} == ranges | {"0", "1"}
        assert not any(name in more for name in _FURTHER - {*documented.fields}), f"{command}: {more}"


@pytest.mark.parametrize("block", [block for page in pages() for block in page.shell()], ids=str)
def test_every_command_and_option_of_ours_that_is_named_exists(block: Block) -> None:
    for words in _commands(block.code):
        program, *arguments = words
        subcommands: list[str] = []
        while arguments and not arguments[0].startswith("-") and arguments[0] in _described(program, *subcommands):
            subcommands.append(arguments.pop(0))
        assert subcommands, f"{block}: {program} has no command {arguments[:1]}"
        for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
            assert option in _described(program, *subcommands), f"{block}: {program} {subcommands} has no {option}"


@pytest.mark.parametrize("block", [block for page in pages() for block in page.shell()], ids=str)
def test_every_target_of_make_that_is_named_exists(block: Block) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"^make ([a-z-]+)", block.code, re.MULTILINE):
        assert target in targets, str(block)


def test_compose_publishes_nothing_but_to_this_machine() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    published = re.findall(r'^ +ports: \["(.+)"\]', compose, re.MULTILINE)
    assert published[0] == "${BRIDGE_BIND:-127.0.0.1}:${BRIDGE_PORT:-8080}:8080"
    assert [one for one in published[1:] if not one.startswith("127.0.0.1:")] == []
    assert compose.count("ports:") == len(published)


def _page_of(path: Path) -> Page:
    return page(path.resolve().relative_to(ROOT).as_posix())


def _is_family(name: str, known: set[str]) -> bool:
    """Whether it stands for several, as `BRIDGE_KAFKA_…` does."""
    return any(setting.startswith(f"{name}_") for setting in known)


def _without_words(block: Block) -> tuple[str, str, str, str]:
    """What a translation keeps: all but comments and reasons."""
    code = "\n".join(line.partition("  # ")[0].rstrip() for line in block.code.splitlines())
    return block.language, code, block.kind, block.file


def _commands(code: str) -> list[list[str]]:
    """The calls of our own commands, with their arguments."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||;|\|", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # part of a text
                continue
            for position, word in enumerate(words):
                if word in PROGRAMS or ("/bin/" in word and Path(word).name in PROGRAMS):
                    found.append([Path(word).name, *words[position + 1 :]])
                    break
    return found


@cache
def _described(program: str, *subcommands: str) -> set[str]:
    """The words of the help of a command, options with their hyphens."""
    executable = BRIDGE.with_name("consumers") if program == "consumers" else BRIDGE
    done = subprocess.run([executable, *subcommands, "--help"], capture_output=True, text=True, timeout=60, check=True)
    return set(re.findall(r"--[\w-]+|\w[\w-]*", done.stdout))
