"""Files of all kinds with given rows, for the tests of reading."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OPEN = "urn:oasis:names:tc:opendocument:xmlns"


def write_table(path: Path, cells: Sequence[Sequence[str]]) -> Path:
    """A delimited file or a spreadsheet with these cells."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix == ".xlsx":
        write_xlsx(plain, {"Sheet1": cells})
    elif plain.suffix == ".ods":
        write_ods(plain, cells)
    else:
        with plain.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=_DELIMITERS[plain.suffix], lineterminator="\n").writerows(cells)
    return packed(plain, ".gz") if plain != path else path


def write_rows(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """A file with these rows, in the format of its suffix."""
    if path.suffix in (*_DELIMITERS, ".xlsx", ".ods"):
        return write_table(path, [list(rows[0]), *(list(row.values()) for row in rows)])
    _WRITERS[path.suffix](path, rows)
    return path


def packed(path: Path, compression: str) -> Path:
    """The file compressed, beside it; the file itself if no compression is given."""
    if not compression:
        return path
    target = path.with_name(path.name + compression)
    if compression == ".zip":
        target = path.with_suffix(".zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
            archive.writestr(f"__MACOSX/._{path.name}", b"\0\5\26\7")
    elif compression == ".zst":
        target.write_bytes(pa.compress(path.read_bytes(), "zstd", asbytes=True))
    else:
        compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[compression]
        target.write_bytes(compress(path.read_bytes()))
    return target


def write_xlsx(path: Path, sheets: dict[str, Sequence[Sequence[str]]]) -> None:
    """A workbook whose cells are texts."""
    names = [escape(name) for name in sheets]
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(names, start=1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(names) + 1)
        )
        + "</Relationships>",
    }
    for number, cells in enumerate(sheets.values(), start=1):
        rows = "".join(
            "<row>" + "".join(f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>' for cell in row) + "</row>"
            for row in cells
        )
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'
        )
    _write_archive(path, parts)


def write_ods(path: Path, cells: Sequence[Sequence[str]]) -> None:
    """An OpenDocument spreadsheet whose cells are texts."""
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p></table:table-cell>'
            for cell in row
        )
        + "</table:table-row>"
        for row in cells
    )
    spaces = " ".join(f'xmlns:{name}="{_OPEN}:{name}:1.0"' for name in ("office", "table", "text"))
    content = (
        f'<office:document-content {spaces} office:version="1.2"><office:body><office:spreadsheet>'
        f'<table:table table:name="Sheet1">{rows}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = f'<manifest:manifest xmlns:manifest="{_OPEN}:manifest:1.0"/>'
    _write_archive(path, {"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content})


def _write_archive(path: Path, parts: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _write_lines(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _write_list(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text(json.dumps(rows), encoding="utf-8")


def _write_parquet(path: Path, rows: Sequence[dict[str, str]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def _write_arrow(path: Path, rows: Sequence[dict[str, str]]) -> None:
    content = pa.Table.from_pylist(rows)
    with pa.ipc.new_file(path, content.schema) as writer:
        writer.write_table(content)


def _write_stream(path: Path, rows: Sequence[dict[str, str]]) -> None:
    content = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(path, content.schema) as writer:
        writer.write_table(content)


def _write_feather(path: Path, rows: Sequence[dict[str, str]]) -> None:
    feather.write_feather(pa.Table.from_pylist(rows), path)


_WRITERS: dict[str, Callable[[Path, Sequence[dict[str, str]]], None]] = {
    ".jsonl": _write_lines,
    ".ndjson": _write_lines,
    ".json": _write_list,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
    ".ipc": _write_stream,
    ".feather": _write_feather,
}
