"""Where frames go: over each other on a terminal, one after the other elsewhere.

On a terminal the frame has the alternate screen to itself, so that what was there before is there again afterwards,
and keys are read as they are pressed. Whoever enters a screen leaves it, however that comes about; what a kill leaves
behind, `reset` mends.
"""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from proxy.cli.terminal import PLAIN, in_colour
from proxy.cli.top.frame import Line

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, no cursor, no wrapping."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[2K", "\x1b[J"


def is_screen() -> bool:
    """True where standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def dimensions() -> tuple[int, int]:
    """Columns and lines of the terminal, now. One of less than 40 columns shows the left part of what is drawn."""
    width, rows = os.get_terminal_size(sys.stdout.fileno())
    return max(40, width), rows


@contextmanager
def full_screen(on_quit: Callable[[], object]) -> Iterator[None]:
    """Have the terminal for frames; `on_quit` is called when somebody presses q."""
    sys.stdout.write(_ENTER)
    sys.stdout.flush()
    try:
        with _keys(on_quit):
            yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def draw(lines: Sequence[Line]) -> None:
    """Over what was drawn before. A line is cleared before it is written: after its last column it would lose it."""
    painted = "\n".join(_CLEAR_LINE + text for text in _painted(lines))
    sys.stdout.write(f"{_HOME}{painted}{_CLEAR_REST}")
    sys.stdout.flush()


def append(lines: Sequence[Line]) -> None:
    """Under what was written before."""
    print("\n".join(_painted(lines)), flush=True)


def _painted(lines: Sequence[Line]) -> Iterator[str]:
    has_colours = in_colour(sys.stdout)
    for text, colour in lines:
        yield f"{colour}{text}{PLAIN}" if colour and has_colours else text


@contextmanager
def _keys(on_quit: Callable[[], object]) -> Iterator[None]:
    """Keys come one by one and unseen. Ctrl-Z is no key here: it would leave the terminal as it is."""
    if not sys.stdin.isatty():
        yield
        return
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def read() -> None:
        pressed = os.read(keyboard, 64)
        if not pressed:
            loop.remove_reader(keyboard)
        if b"q" in pressed.lower():
            on_quit()

    try:
        tty.setcbreak(keyboard)
        mode = termios.tcgetattr(keyboard)
        mode[6][termios.VSUSP] = os.fpathconf(keyboard, "PC_VDISABLE").to_bytes()
        termios.tcsetattr(keyboard, termios.TCSANOW, mode)
        loop.add_reader(keyboard, read)
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
