"""The locked requirement files: in step with pyproject.toml, free of host names, and nothing copyleft in what ships."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("base", "node")


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "lock.py"), "--check", "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def licence(package: str) -> str:
    metadata = importlib.metadata.metadata(package)
    classifiers = [line for line in metadata.get_all("Classifier", []) if line.startswith("License")]
    return " ".join([metadata.get("License-Expression") or "", *classifiers]).strip() or metadata.get("License") or ""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def test_the_requirement_files_are_in_step_and_clean() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stderr


def test_a_requirement_changed_without_locking_again_is_noticed(copy: Path) -> None:
    project = copy / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    project.write_text(text.replace('"cbor2>=6.3"', '"cbor2>=6.3", "pyasn1"'), encoding="utf-8")
    done = check(copy)
    assert done.returncode == 1
    assert "requirements/base.txt is out of step" in done.stderr
    assert "requirements/base.txt pins no pyasn1" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://mirror.example/simple",
        "--find-links /srv/wheels",
        "# from mirror.example",
        "cbor2 @ https://mirror.example/cbor2.whl",
        "cbor2>=6.3",
        "cbor2==6.3.0",
    ],
)
def test_a_line_that_is_not_a_hashed_pin_is_refused(copy: Path, line: str) -> None:
    with (copy / "requirements" / "base.txt").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    done = check(copy)
    assert done.returncode == 1
    assert "neither a pin nor a hash" in done.stderr


def test_a_pin_whose_hashes_were_cut_off_is_refused(copy: Path) -> None:
    with (copy / "requirements" / "base.txt").open("a", encoding="utf-8") as file:
        file.write("zipp==4.0.0 \\\n")
    done = check(copy)
    assert done.returncode == 1
    assert "ends in the middle of a pin" in done.stderr


def test_two_files_of_one_environment_that_disagree_are_refused(copy: Path) -> None:
    base = copy / "requirements" / "base.txt"
    base.write_text(re.sub(r"^cbor2==\S+", "cbor2==5.0.0", base.read_text(encoding="utf-8"), flags=re.MULTILINE))
    done = check(copy)
    assert done.returncode == 1
    assert "has cbor2 5.0.0" in done.stderr


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "requirements" / "tools.txt").unlink()
    done = check(copy)
    assert done.returncode == 1
    assert "requirements/tools.txt is missing" in done.stderr


@pytest.mark.parametrize("name", SHIPPED)
def test_no_package_that_ships_is_under_the_gpl(name: str) -> None:
    licences = {package: licence(package) for package in pinned(name)}
    unknown = [package for package, text in licences.items() if not text or "UNKNOWN" in text]
    copyleft = {
        package: text for package, text in licences.items() if re.search(r"\bA?GPL|GNU (Affero )?General", text)
    }
    assert not unknown
    assert not copyleft


def test_every_direct_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    lists = [project["project"]["dependencies"], *extras, *project["dependency-groups"].values()]
    asked = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirements in lists for requirement in requirements}
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `([a-z0-9.-]+)`", table, re.MULTILINE))
    assert explained == asked
