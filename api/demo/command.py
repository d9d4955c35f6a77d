"""Playing the demonstration for the command line: start, keep, stop, and what to say at the end."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from api.cli.context import Session
from api.demo import CERTIFICATES, ITEMS
from api.demo.run import Outcome, check_unexpected, urls
from api.demo.run import run as play_all
from api.demo.screen import Screen
from api.demo.stage import Stage

FOLDER = Path("run/demo")


def play(session: Session, folder: Path, items: int, certificates: int, *, bft: bool, keep: bool, stop: bool) -> None:
    """Do what the command was asked for."""
    stage = Stage(folder)
    if stop:
        ran = stage.stop()
        session.out({"stopped": ran, "folder": str(stage.folder)}, "Stopped." if ran else "Nothing was running.")
        return
    if keep:
        setting = stage.resume()
        session.out({"url": setting.url, "chain": setting.chain_url}, f"Running: {setting.url}", how_to_stop(folder))
        return
    screen = Screen(quiet=session.as_json)
    outcome = run(folder, screen, items=items, certificates=certificates, bft=bft)
    session.out(outcome.summary())
    check_unexpected([*outcome.questions, *outcome.strangers], outcome.attempts, outcome.forged_entries)


def run(
    folder: Path, screen: Screen, *, items: int = ITEMS, certificates: int = CERTIFICATES, bft: bool = False
) -> Outcome:
    """Play the demonstration and say where to look and how to stop it; LedgerError where it could not be played."""
    played = False
    try:
        outcome = play_all(folder, screen, items=items, certificates=certificates, bft=bft)
        played = True
    finally:
        if not played:
            screen.line(how_to_stop(folder))
    screen.links("Where to look", urls(outcome.setting, outcome.play.story.transferred))
    again = f"{_tial()} demo --keep{_named(folder)}"
    screen.links("And then", [("stop all of it", stop_command(folder)), ("start them again", again)])
    return outcome


def how_to_stop(folder: Path) -> str:
    """One line for people."""
    return f"What was started keeps running; stop it with: {stop_command(folder)}"


def stop_command(folder: Path) -> str:
    """The command that ends all processes."""
    return f"{_tial()} demo --stop{_named(folder)}"


def _tial() -> str:
    """How to call the command line from here: by its name, or where it lies in an environment that is not active."""
    return "tial" if shutil.which("tial") else os.path.relpath(Path(sys.executable).with_name("tial"))


def _named(folder: Path) -> str:
    return "" if folder == FOLDER else f" --folder {folder}"
