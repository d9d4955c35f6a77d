"""Who takes part in the demonstration: parties, their keys, and what each is entitled to.

Names are roles. Root authorities sign only together; everybody else acts for itself. One certifier uses ES256, all
others Ed25519: a log takes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.crypto.suites import Signer, suite_by_name
from ledger.identifiers.check_digits import uscc_check_character
from ledger.identifiers.did_key import did_key

ROOT_THRESHOLD: Final = 2


@dataclass(frozen=True, slots=True)
class Party:
    """One party. `slug` names its key file, `uscc` is its unified social credit code or empty."""

    slug: str
    name: str
    roles: tuple[str, ...]
    signer: Signer
    uscc: str = ""

    @property
    def did(self) -> str:
        """The did:key of its key."""
        return did_key(self.signer.public_key, self.signer.suite.name)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody. `operator` runs the second-level node and enrols those below it."""

    root: tuple[Party, Party, Party]
    operator: Party
    electronics: Party
    battery: Party
    accreditor: Party
    certifier: Party
    laboratory: Party
    regulator: Party

    @property
    def parties(self) -> tuple[Party, ...]:
        """All of them."""
        return *self.root, *self.enrolled

    @property
    def enrolled(self) -> tuple[Party, ...]:
        """Those that become actors of the log; root authorities are members by its genesis."""
        return (
            self.operator, self.accreditor, self.regulator, self.electronics, self.battery, self.certifier,
            self.laboratory,
        )  # fmt: skip

    def name_of(self, did: str) -> str:
        """The name behind a DID, or the DID."""
        return next((party.name for party in self.parties if party.did == did), did)


def make_cast() -> Cast:
    """Draw fresh keys for everybody."""

    def party(slug: str, name: str, *roles: str, suite: str = "ed25519", uscc: str = "") -> Party:
        code = uscc + uscc_check_character(uscc) if uscc else ""
        return Party(slug, name, roles, suite_by_name(suite).generate(), code)

    return Cast(
        root=(
            party("root-1", "root authority 1"),
            party("root-2", "root authority 2"),
            party("root-3", "root authority 3"),
        ),
        operator=party("operator", "second-level node 88.118", "enroller", "registrar"),
        electronics=party(
            "electronics", "electronics enterprise", "registrar", "owner", uscc="91320594MA00DEM01"
        ),
        battery=party("battery", "battery enterprise", "registrar", "owner", uscc="91350902MA00DEM02"),
        accreditor=party("accreditor", "accreditor", "accreditor", "template-authority"),
        certifier=party("certifier", "certifier", "certifier", suite="es256", uscc="91110108MA00DEM03"),
        laboratory=party("laboratory", "laboratory for power supplies", "certifier", uscc="91310104MA00DEM04"),
        regulator=party("regulator", "market regulator", "regulator"),
    )  # fmt: skip
