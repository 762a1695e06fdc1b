"""The page says in Chinese too what every callback and every field means."""

from __future__ import annotations

import re
from importlib.resources import files

from bridge.console import samples
from bridge.events import registry

_PAIR = re.compile(r'^  "(?P<english>(?:[^"\\]|\\.)*)": "(?P<chinese>(?:[^"\\]|\\.)*)",$', re.MULTILINE)
_IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")


def test_each_meaning_has_a_chinese_one_and_none_is_left_over() -> None:
    text = (files("bridge.console") / "page" / "meanings.zh.js").read_text(encoding="utf-8")
    chinese = {pair["english"]: pair["chinese"] for pair in _PAIR.finditer(text)}
    forms = [form for entry in registry.ENTRIES if (form := samples.form_of(entry.callback.command))]
    english = {form.meaning for form in forms} | {field.meaning for form in forms for field in form.fields}
    assert english - chinese.keys() == set()
    assert chinese.keys() - english == set()
    assert len(chinese) == len(_PAIR.findall(text))
    # Of some there are nothing but values, as of `audio` or `video`.
    assert [told for told in chinese.values() if not _IDEOGRAPH.search(told) and "`" not in told] == []
