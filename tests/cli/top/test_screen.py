import asyncio
import fcntl
import os
import select
import struct
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TextIO

import pytest

from proxy.cli.terminal import RED
from proxy.cli.top import screen as module
from proxy.cli.top.frame import Line
from proxy.cli.top.screen import append, dimensions, draw, full_screen, is_screen

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"


@dataclass
class Terminal:
    """A pseudo-terminal that the module takes for standard input and output."""

    keyboard: int
    ours: TextIO

    def shows(self, text: str) -> bool:
        """True where this was written since the last look."""
        shown = b""
        while len(shown) < len(text.encode()) and select.select([self.keyboard], [], [], 5)[0]:
            shown += os.read(self.keyboard, 1 << 16)
        return shown == text.encode()

    def mode(self) -> list[object]:
        return termios.tcgetattr(self.ours)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    with open(slave, closefd=False) as reading, open(slave, "w", closefd=False) as writing:
        monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=reading, stdout=writing))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        yield Terminal(master, writing)
    os.close(master)
    os.close(slave)


def test_what_is_a_screen(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_screen()
    assert dimensions() == (80, 30)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_screen()
    monkeypatch.delenv("TERM")
    assert not is_screen()


def test_frames_are_drawn_over_each_other_and_each_line_is_cleared_first(terminal: Terminal) -> None:
    draw([Line("x" * 80), Line("bad", RED)])
    assert terminal.shows(f"\x1b[H\x1b[2K{'x' * 80}\r\n\x1b[2K{RED}bad\x1b[0m\x1b[J")


def test_frames_follow_each_other_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    append([Line("one"), Line("bad", RED)])
    append([Line("two")])
    assert capsys.readouterr().out == "one\nbad\ntwo\n"


async def test_keys_are_read_as_they_are_pressed_and_q_quits(terminal: Terminal) -> None:
    before, quitting = terminal.mode(), asyncio.Event()
    with full_screen(quitting.set):
        assert terminal.shows(ENTER)
        assert terminal.mode() != before
        os.write(terminal.keyboard, b"x\x1a")
        os.write(terminal.keyboard, b"Q")
        await quitting.wait()
    assert terminal.shows(LEAVE)
    assert terminal.mode() == before


async def test_a_screen_is_left_however_that_comes_about(terminal: Terminal) -> None:
    before = terminal.mode()
    with pytest.raises(ZeroDivisionError), full_screen(lambda: None):
        raise ZeroDivisionError
    assert terminal.shows(ENTER + LEAVE)
    assert terminal.mode() == before


async def test_a_keyboard_that_ends_is_not_asked_again(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    def read(*_: int) -> bytes:
        asked.set()
        return b""

    monkeypatch.setattr(os, "read", read)
    with full_screen(lambda: None):
        os.write(terminal.keyboard, b"x")
        await asked.wait()
        assert not asyncio.get_running_loop().remove_reader(terminal.ours.fileno())


async def test_without_a_keyboard_there_are_no_keys(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123, ASYNC230
        monkeypatch.setattr("proxy.cli.top.screen.sys.stdin", nothing)
        with full_screen(lambda: None):
            pass
    assert terminal.shows(ENTER + LEAVE)
