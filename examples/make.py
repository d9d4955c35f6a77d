"""Makes the example files of this folder: exports of two production lines, and requests for certificates.

    python examples/make.py            write them all again, byte for byte as they are in the repository
    python examples/make.py FOLDER     write them elsewhere

They look like what such systems export: their own column names, Chinese headers and values, a byte order mark and CRLF
in one, GBK in another, GTINs as printed (13 digits), codes spread over several columns. Every check digit is right.
Nothing comes from a random source: each choice is a SHA-256 of its name, so that every Python gives the same bytes.
"""

# ruff: noqa: INP001 - a script beside its files, in no package
from __future__ import annotations

import csv
import hashlib
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ledger.identifiers.check_digits import gs1_check_digit

SEED = "tial examples 1"
ELECTRONICS_ITEMS, BATTERY_ITEMS, REQUESTS = 3000, 2000, 500
FIRST_DAY = date(2025, 6, 2)
COMPANY_PREFIX = "6901234"  # of the electronics enterprise, at GS1
ELECTRONICS_PREFIX, BATTERY_PREFIX = "88.118.8", "88.118.21"  # enterprise codes below second-level node 88.118
VENDOR_CODE = "08E"  # of the battery enterprise, GB/T 34014
_CODE_DIGITS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without the letters I and O


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the electronics line; `item` is its number at GS1, 0 where it carries a national identifier."""

    material: str
    name: str
    model: str
    line: str
    item: int
    product_class: str
    standard: str


ELECTRONICS = (
    Product("10040012", "开关电源", "PSU-240W-24V", "SMT-1", 1, "power-supply", "GB 4943.1-2022"),
    Product("10040031", "工业网关", "IGW-4G-8DI", "SMT-2", 2, "industrial-gateway", "GB 4943.1-2022"),
    Product("10050007", "伺服驱动器", "SVD-1K5", "ASM-3", 0, "servo-drive", "GB/T 12668.501-2013"),
)
BATTERY = {
    "C": ("LFP-280A", "cell", "GB 38031-2020"),
    "M": ("MOD-1P12S", "module", "GB 38031-2020"),
    "P": ("PACK-96S", "pack", "GB 38031-2020"),
    "B": ("BMU-S12", "battery-management-unit", "GB/T 38661-2020"),
}
CAPACITY = {"C": "280", "M": "280", "P": "280", "B": ""}
VOLTAGE = {"C": "3.2", "M": "38.4", "P": "307.2", "B": "24"}


def draw(name: str, below: int) -> int:
    """Return a number from 0 to `below` - 1 that depends on `name` alone."""
    return int.from_bytes(hashlib.sha256(f"{SEED} {name}".encode()).digest()[:8], "big") % below


def decimal(name: str, low: int, high: int, places: int) -> str:
    """Return a decimal of `low` to `high` units of its last place, as text."""
    value = low + draw(name, high - low)
    return f"{value // 10**places}.{value % 10**places:0{places}d}" if places else str(value)


def working_day(n: int) -> date:
    """Return the n-th working day from FIRST_DAY, a Monday."""
    return FIRST_DAY + timedelta(days=n // 5 * 7 + n % 5)


def gtin13(item: int) -> str:
    """Return a GTIN-13 of the electronics enterprise."""
    digits = f"{COMPANY_PREFIX}{item:05d}"
    return digits + gs1_check_digit(digits)


# -- the electronics line: one row a finished product, from the ERP ---------------------------------------------------

ELECTRONICS_COLUMNS = (
    "生产工单", "物料编码", "物料名称", "规格型号", "商品条码", "序列号", "工业互联网标识", "生产日期", "产线",
    "工厂代码", "质检结论", "客户订单",
)  # fmt: skip


def electronics() -> list[dict[str, str]]:
    """Rows of the electronics line in the order of production, 150 a day."""
    rows = []
    for n in range(ELECTRONICS_ITEMS):
        product = ELECTRONICS[(0, 0, 0, 0, 1, 1, 1, 2, 2, 2)[draw(f"product {n}", 10)]]
        day = working_day(n // 150)
        serial = f"EA{day:%y%m%d}{n % 150 + 1:05d}"
        national = product.item == 0
        values = (
            f"MO{day:%y%m%d}-{product.line[-1]}", product.material, product.name, product.model,
            "" if national else gtin13(product.item), serial,
            f"{ELECTRONICS_PREFIX}/{product.model}.{serial}" if national else "",
            day.isoformat(), product.line, "SITE-E1", "合格", f"SO{4500012000 + draw(f'order {n // 25}', 400)}",
        )  # fmt: skip
        rows.append(dict(zip(ELECTRONICS_COLUMNS, values, strict=True)))
    return rows


# -- the battery line: one row a traced part, from the MES ------------------------------------------------------------

BATTERY_COLUMNS = (
    "追溯记录号", "电池编码", "标识编码", "产品类型", "型号", "额定容量_Ah", "标称电压_V", "开路电压_mV", "内阻_uOhm",
    "生产时间", "产线", "工位", "工厂", "下线检测",
)  # fmt: skip
TYPE_NAMES = {"C": "单体", "M": "模组", "P": "电池包", "B": "电池管理单元"}


def battery_code(kind: str, day: date, serial: int) -> str:
    """Return a code of GB/T 34014: vendor, type, chemistry (B: LFP), specification, traceability, date, serial."""
    year = _CODE_DIGITS[day.year - 2010]
    made = year + _CODE_DIGITS[day.month] + _CODE_DIGITS[day.day]
    return f"{VENDOR_CODE}{kind}B01S1L300{1 + serial % 4}{made}{serial:07d}"


def battery() -> list[dict[str, str]]:
    """Rows of the battery line, 100 a day. Management units are no batteries: they carry a national identifier."""
    rows = []
    for n in range(BATTERY_ITEMS):
        kind = "CCCCCMMPBB"[draw(f"part {n}", 10)]
        day = working_day(n // 100)
        model = BATTERY[kind][0]
        volts = {"C": (3270, 3310), "M": (39240, 39720), "P": (313920, 317760), "B": (23900, 24100)}[kind]
        values = (
            str(900001 + n), "" if kind == "B" else battery_code(kind, day, n + 1),
            f"{BATTERY_PREFIX}/{model}.{day:%y%m%d}{n % 100 + 1:04d}" if kind == "B" else "",
            TYPE_NAMES[kind], model, CAPACITY[kind], VOLTAGE[kind], decimal(f"ocv {n}", *volts, 0),
            "" if kind == "B" else decimal(f"resistance {n}", 180, 240, 0),
            f"{day:%Y/%m/%d} {8 + n % 100 // 9:02d}:{6 * (n % 100 % 9) + draw(f'minute {n}', 6):02d}",
            f"L{1 + n % 4}", f"ST{10 + 10 * (n % 6)}", "SITE-B1", "OK",
        )  # fmt: skip
        rows.append(dict(zip(BATTERY_COLUMNS, values, strict=True)))
    return rows


# -- requests for certificates: one row a sampled item, every tenth of each line --------------------------------------

REQUEST_COLUMNS = (
    "request_no", "applicant", "scheme", "identifier", "template", "class", "standard", "site", "report_no",
    "tested_on", "test_1", "value_1", "unit_1", "test_2", "value_2", "unit_2", "conclusion", "valid_months",
)  # fmt: skip


def requests(made: Sequence[dict[str, str]], traced: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Three requests of the electronics enterprise to two of the battery enterprise, over all days."""
    rows = []
    for n in range(REQUESTS):
        turn, place = divmod(n, 5)
        if place < 3:
            item = _electronics_request(n, made[10 * (3 * turn + place)])
        else:
            item = _battery_request(n, traced[10 * (2 * turn + place - 3)])
        rows.append(dict(zip(REQUEST_COLUMNS, (f"CR-2025-{n + 1:05d}", *item), strict=True)))
    return rows


def _electronics_request(n: int, row: dict[str, str]) -> tuple[str, ...]:
    product = next(p for p in ELECTRONICS if p.model == row["规格型号"])
    if row["商品条码"]:
        scheme, text = "gs1", f"(01)0{row['商品条码']}(21){row['序列号']}"
    else:
        scheme, text = "vaa", row["工业互联网标识"]
    return (
        "electronics", scheme, text, "product-safety/1", product.product_class, product.standard, row["工厂代码"],
        f"TR-E-{250600001 + n}", row["生产日期"],
        "insulation resistance", decimal(f"insulation {n}", 1000, 5000, 1), "MΩ",
        "touch current", decimal(f"touch {n}", 5, 24, 2), "mA", "pass", "36",
    )  # fmt: skip


def _battery_request(n: int, row: dict[str, str]) -> tuple[str, ...]:
    kind = next(key for key, name in TYPE_NAMES.items() if name == row["产品类型"])
    _, product_class, standard = BATTERY[kind]
    scheme, text = ("battery", row["电池编码"]) if row["电池编码"] else ("vaa", row["标识编码"])
    tests = (
        ("supply voltage deviation", decimal(f"deviation {n}", 5, 60, 2), "%", "cell voltage error",
         decimal(f"error {n}", 5, 50, 1), "mV")
        if kind == "B"
        else ("capacity at 1C", decimal(f"capacity {n}", 2805, 2890, 1), "Ah", "insulation resistance",
              decimal(f"resistance of {n}", 5000, 9900, 1), "MΩ")
    )  # fmt: skip
    tested = row["生产时间"][:10].replace("/", "-")
    return (
        "battery", scheme, text, "traction-battery/1", product_class, standard, row["工厂"], f"TR-B-{250600001 + n}",
        tested, *tests, "pass", "24",
    )  # fmt: skip


def export(columns: Sequence[str], rows: Iterable[dict[str, str]], *, encoding: str, newline: str) -> bytes:
    """Write rows as CSV (RFC 4180) in an encoding."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def files() -> dict[str, bytes]:
    """Return every example file by its name below the folder."""
    made, traced = electronics(), battery()
    return {
        "electronics/finished-goods.csv": export(ELECTRONICS_COLUMNS, made, encoding="utf-8-sig", newline="\r\n"),
        "battery/mes-traceability.csv": export(BATTERY_COLUMNS, traced, encoding="gbk", newline="\r\n"),
        "certificates/requests.csv": export(REQUEST_COLUMNS, requests(made, traced), encoding="utf-8", newline="\n"),
    }


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, content in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sys.stdout.write(f"{len(content):8d} bytes  {path}\n")


if __name__ == "__main__":
    main()
