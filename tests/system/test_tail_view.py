"""`bridge tail` on a terminal, with a real ingress and a real Kafka."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import BRIDGE
from tests.support.terminal import TerminalCommand
from tests.support.topic import wait_for_events
from tests.system.test_send_and_tail import APPS

SHOW_SCREEN, HIDE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


def test_an_event_is_picked_looked_at_filtered_and_sent_again(
    ingress: MakeIngress, broker: Broker, tmp_path: Path
) -> None:
    there = ingress(broker)
    there.post(recalled("Ann", unread=7))
    wait_for_events(broker.bootstrap, there.topics.events, bool)
    env = {"BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, "BRIDGE_APPS": APPS}
    env |= {"BRIDGE_CONSOLE_SEND_URL": there.url}
    with TerminalCommand([BRIDGE, "tail", there.topics.events], env=env, folder=tmp_path) as terminal:
        terminal.wait_for("recalled +Ann ")
        there.post(recalled("Ben", unread=3))
        terminal.wait_for("recalled +Ben ")
        terminal.press("/Ann\r")
        assert "Ben" not in terminal.wait_for("only what has 'Ann'").partition("only what has")[2]
        terminal.press("\x1b[A\r")
        terminal.wait_for('"subject": "Ann"')
        terminal.press("G")
        terminal.wait_for('"unread_total": 7')
        terminal.press("r")
        terminal.wait_for("C2C.CallbackAfterMsgWithDraw again")
        terminal.press("y")
        terminal.wait_for("200 OK")
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.is_as_before()
        assert terminal.raw().count(SHOW_SCREEN) == terminal.raw().count(HIDE_SCREEN) == 1
    events = wait_for_events(broker.bootstrap, there.topics.events, lambda found: len(found) == 3)
    again = [one.event for one in events if one.event["subject"] == "Ann"]
    assert [event["data"]["unread_total"] for event in again] == [7, 7]
    assert again[0]["id"] != again[1]["id"], "it is a new callback"


def test_ctrl_c_leaves_the_terminal_as_it_was_and_plain_is_lines(broker: Broker, tmp_path: Path) -> None:
    env = {"BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap}
    with TerminalCommand([BRIDGE, "tail", "no-such-topic"], env=env, folder=tmp_path) as terminal:
        terminal.wait_for("does not exist yet")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
        assert terminal.is_as_before()
        assert b"Traceback" not in terminal.raw()
    with TerminalCommand([BRIDGE, "tail", "no-such-topic", "--plain"], env=env, folder=tmp_path) as terminal:
        terminal.wait_for("does not exist yet")
        assert SHOW_SCREEN not in terminal.raw()


def test_put_aside_it_gives_the_terminal_back_and_goes_on_where_it_was(broker: Broker, tmp_path: Path) -> None:
    env = {"BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, "PS1": "shell> "}
    shell = ["setsid", "--ctty", "bash", "--norc", "--noediting", "-i"]
    with TerminalCommand(shell, env=env, folder=tmp_path) as terminal:
        terminal.wait_for("shell> ")
        terminal.press(f"{BRIDGE} tail no-such-topic\n")
        terminal.wait_for("does not exist yet")
        terminal.press("\x1a")
        terminal.wait_for("Stopped")
        assert terminal.raw().count(HIDE_SCREEN) == 1
        assert terminal.is_as_before()
        terminal.press("fg\n")
        terminal.wait_for("does not exist yet")
        assert terminal.raw().count(SHOW_SCREEN) == 2
        terminal.press("/")
        terminal.wait_for("Enter keeps it")
        terminal.press("\x1bq")
        terminal.wait_for("shell> ")
        terminal.press("exit\n")
        assert terminal.end() == 0
        assert terminal.is_as_before()
