"""The base install is a whole verifier: every module of ledger/ but its store imports without the extra `node`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Refuses, in a fresh interpreter, every installed package that the base install does not bring, then imports.
SCRIPT = """
import importlib, importlib.metadata, pkgutil, re, sys
base = set(sys.argv[1].split(","))
owners = importlib.metadata.packages_distributions()

class Refuse:
    def find_spec(self, name, path=None, target=None):
        found = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(name.partition(".")[0], ())}
        if found and not found & (base | {"tial"}):
            raise ModuleNotFoundError(f"{name} is not in the base install", name=name)
        return None

sys.meta_path.insert(0, Refuse())
import ledger
names = [module.name for module in pkgutil.walk_packages(ledger.__path__, "ledger.")]
names = sys.argv[2:] + [name for name in names if not name.startswith("ledger.store")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def import_with_base_only(*more: str) -> subprocess.CompletedProcess[str]:
    text = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
    base = ",".join(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    command = [sys.executable, "-c", SCRIPT, base, *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_the_verifier_imports_with_the_base_install_only() -> None:
    done = import_with_base_only()
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_a_module_of_the_node_would_be_noticed() -> None:
    done = import_with_base_only("plyvel")
    assert done.returncode != 0
    assert "plyvel is not in the base install" in done.stderr
