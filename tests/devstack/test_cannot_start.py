"""`bridge dev` and `bridge demo` on a machine that does not let them start."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial

import pytest
import typer

from bridge.commands import demonstration, playground


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("run", [demonstration.run, partial(playground.run, host=None, port=0)], ids=["demo", "dev"])
def test_where_nothing_can_be_written_it_says_so_and_ends(
    run: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/im-bridge-x")

    monkeypatch.setattr("bridge.devstack.guard.tempfile.mkdtemp", full)
    with pytest.raises(typer.Exit) as ended:
        run()
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "error: it cannot be run here: No space left on device (/tmp/im-bridge-x)\n"
