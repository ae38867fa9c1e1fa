"""Files as people have them: other code pages, no header, no quoting, notes of spreadsheet programs, compression.

No reading loses, merges or reorders a row, and each guess names the key that overrides it.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from slugline.core.errors import DataError
from slugline.data.findings import Finding
from slugline.data.load import load_dataset
from slugline.data.reading import sources
from slugline.data.reading.formats import Reading, Row, read_rows
from slugline.recipe.data_section import DataSection
from table_files import packed, write_table


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


def rows_of(path: Path, reading: Reading | None = None) -> tuple[list[Row], list[Finding]]:
    findings: list[Finding] = []
    return list(read_rows(path, reading or Reading(), findings=findings)), findings


def cells_of(path: Path, reading: Reading | None = None) -> list[list[object]]:
    return [list(row.values()) for row in rows_of(path, reading)[0]]


# Code pages

WORDS = {
    "cp1252 fr": "réglé expédition après même été déjà où ça forêt tâche reçu noël hôtel très colis client facture",
    "cp1252 es": "señor mañana también día niño está año aquí más envío razón común cliente factura pedido tarde",
    "cp1252 pt": "não informação você está amanhã atenção situação saúde avó três cliente fatura pedido tarde",
    "cp1252 it": "perché città più già così università è però sarà lunedì cliente fattura ordine tardi",
    "cp1252 sv": "är också för på över många år därför möte båt kund faktura betala senare",
    "cp1252 de": "für über schön Straße Größe müde Ärger möglich fällt Kunde Rechnung zahlen später",
    "cp1252 da": "på også får være år større når både bliver kunde faktura betale senere",
    "cp1254 tr": "değil için şimdi çünkü ığdır görüş başka kadın yıl müşteri ödeme fatura bugün sipariş",
    "cp1250 pl": "się jest że będzie także więcej już może być środa zażółć źle klient faktura",
    "cp1250 cs": "není být může více také již před středa žádný účet zákazník platba",
    "cp1257 lt": "yra kad ąžuolas šiandien žmogus ėjo mūsų įmonė čia klientas mokėjimas",
}


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("seed", range(6))
def test_the_code_page_of_a_language_is_recognised(tmp_path: Path, language: str, seed: int) -> None:
    draw, words = random.Random(seed), WORDS[language].split()
    accented = [word for word in words if not word.isascii()]
    labels = draw.sample(accented, 2)
    rows = [[" ".join([draw.choice(accented), *draw.choices(words, k=8)]), labels[index % 2]] for index in range(16)]
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"{a},{b}\n" for a, b in rows), language.split()[0])
    read, findings = rows_of(path)
    assert [list(row.values()) for row in read] == rows
    assert [finding.kind for finding in findings] == ["encoding"]
    assert findings[0].is_warning
    assert all(word in findings[0].message for word in (language.split()[0], "data.encoding", "--encoding"))


@pytest.mark.parametrize("encoding", ["cp1250", "cp1252", "cp1254", "latin-1", "mac_roman"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json"])
def test_a_given_encoding_decides_without_a_warning(tmp_path: Path, name: str, encoding: str) -> None:
    row = {"text": "Öl für Zürich", "label": "Ämter"}
    table = "\t".join(row) + "\n" + "\t".join(row.values()) + "\n"
    content = json.dumps(row, ensure_ascii=False) if "json" in name else table
    content = table.replace("\t", ",") if name == "a.csv" else f"[{content}]" if name == "a.json" else content
    read, findings = rows_of(write(tmp_path / name, content, encoding), Reading(encoding=encoding))
    assert (read, findings) == ([row], [])


@pytest.mark.parametrize("compression", ["", ".gz", ".zip"])
def test_a_given_encoding_that_does_not_fit_names_the_line(tmp_path: Path, compression: str) -> None:
    content = "text\n" + "a\n" * 4 + "d\xe9j\xe0\n"
    path = packed(write(tmp_path / "a.csv", content, "cp1252"), compression)
    with pytest.raises(DataError, match=r"a\.csv.*, line 6: holds bytes that are not utf-8"):
        list(read_rows(path, Reading(encoding="utf-8")))
    with pytest.raises(DataError, match=r"no encoding is called 'cp1522'\. Did you mean 'cp1252'"):
        Reading(encoding="cp1522")


STRAY = {
    "a cell": "déjà vu,Société\n".encode("cp1252"),
    "Windows quotes": b"\x93quoted\x94,Soci\xc3\xa9t\xc3\xa9\n",
    "an undefined byte": b"caf\x81,Soci\xc3\xa9t\xc3\xa9\n",
}


@pytest.mark.parametrize("stray", STRAY)
@pytest.mark.parametrize("at", [0, 48, 299])
@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
def test_stray_bytes_change_only_their_own_line(tmp_path: Path, stray: str, at: int, mark: str) -> None:
    rows = [f"déjà vu {number},{('Société', 'Économie')[number % 2]}\n" for number in range(300)]
    lines = [row.encode() for row in rows]
    lines[at] = STRAY[stray]
    path = write(tmp_path / "a.csv", "text,label\n".encode(mark) + b"".join(lines))
    read, findings = rows_of(path)
    assert len(read) == 300
    assert {row["label"] for row in read} == {"Société", "Économie"}
    assert [row for index, row in enumerate(read) if index != at] == [
        dict(zip(("text", "label"), row.strip().split(","), strict=True))
        for index, row in enumerate(rows)
        if index != at
    ]
    (finding,) = findings
    assert f"line {at + 2} hold bytes that are not UTF-8; these are read as cp1252" in finding.message
    assert "data.encoding or --encoding" in finding.message


@pytest.mark.parametrize("last", ["é", "€", "😀"])
@pytest.mark.parametrize("n_bytes", [1, 2, 3])
def test_a_file_that_ends_within_a_character(tmp_path: Path, last: str, n_bytes: int) -> None:
    content = "text\n" + "déjà\n" * 5 + "fin "
    cut = last.encode()[:n_bytes]
    read, findings = rows_of(write(tmp_path / "a.csv", content.encode() + cut))
    assert [row["text"] for row in read[:5]] == ["déjà"] * 5
    is_whole = n_bytes >= len(last.encode())
    assert read[5]["text"] == ("fin " + (last if is_whole else "\ufffd"))
    assert [finding.kind for finding in findings] == ([] if is_whole else ["encoding"])


# Quotes and delimiters

UNQUOTED = {
    "over two rows": ['"He said this.\tpos', 'And that."\tneg', "plain\tpos"],
    "never closed": ['"He said this.\tpos', "And that.\tneg"],
    "in one row": ['"He said."\tpos', 'say "a" or b\tneg', 'a 5" nail\tpos'],
    "in labels": ['a\t"b', 'c"\tb', 'd\t"'],
    "quote alone": ['"\tpos', "a\tneg", '"\tpos'],
}


@pytest.mark.parametrize("case", UNQUOTED)
@pytest.mark.parametrize("name", ["a.tsv", "a.tab", "a.csv", "a.txt", "a.tsv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_tsv_without_quoting_keeps_its_rows_and_quotes(tmp_path: Path, case: str, name: str, end: str) -> None:
    lines = UNQUOTED[case]
    plain = write(tmp_path / name.removesuffix(".gz"), end.join(["text\tlabel", *lines, ""]))
    path = packed(plain, ".gz") if name.endswith(".gz") else plain
    assert cells_of(path) == [line.split("\t") for line in lines]


@pytest.mark.parametrize("cell", ["a\nb", "a\tb", 'say "x",\nor not', "a, b"])
def test_a_tsv_with_quoting_is_read_with_it(tmp_path: Path, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    path = write(tmp_path / "a.tsv", f"text\tlabel\n{quoted}\tpos\nplain\tneg\n{quoted}\tpos\n")
    assert cells_of(path) == [[cell, "pos"], ["plain", "neg"], [cell, "pos"]]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|", ":"])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}"])
@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_line_of_excel_that_names_the_delimiter(
    tmp_path: Path, delimiter: str, line: str, columns: int, name: str, encoding: str
) -> None:
    table = [["text", "label", "id"], ["a b", "x", "1"], ["c d", "y", "2"]]
    lines = [line.format(delimiter), *(delimiter.join(row[:columns]) for row in table)]
    path = write(tmp_path / name, "\r\n".join([*lines, ""]), encoding)
    read, _ = rows_of(path)
    assert read == [dict(zip(table[0][:columns], row, strict=False)) for row in table[1:]]


@pytest.mark.parametrize("blank", [" ", "  ", "   "])
@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("cell", ["money", "the bank{} the fee", 'say ""so""', "two\nlines"])
def test_a_blank_before_a_quote_belongs_to_no_cell(tmp_path: Path, blank: str, delimiter: str, cell: str) -> None:
    cell = cell.format(delimiter)
    header = delimiter.join(["text", "label"])
    rows = f'some text{delimiter}{blank}"{cell}"\n{blank}"{cell}"{delimiter}{blank}"b"\n'
    wanted = cell.replace('""', '"')
    assert cells_of(write(tmp_path / "a.csv", f"{header}\n{rows}")) == [["some text", wanted], [wanted, "b"]]


@pytest.mark.parametrize("delimiter", ["comma", ",", "semicolon", ";", "tab", "\t", "pipe", "|", "~"])
def test_a_given_delimiter_decides(tmp_path: Path, delimiter: str) -> None:
    separator = Reading(delimiter=delimiter).separator
    path = write(tmp_path / "a.csv", f"text{separator}label\na{separator}b\nc{separator}d\n")
    assert cells_of(path, Reading(delimiter=delimiter)) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("delimiter", ["ab", "commas", "; "])
def test_a_delimiter_of_several_characters_is_refused(delimiter: str) -> None:
    with pytest.raises(DataError, match=r"data\.delimiter"):
        Reading(delimiter=delimiter)


# Headers

TEXTS = ["the team won", "the bank lost", "a new phone", "rain in the north"]
HEADERLESS = {
    "label first": [["neutral" if index % 3 else "good", text] for index, text in enumerate(TEXTS * 10)],
    "number, title and text": [[str(index % 4), text, text * 2] for index, text in enumerate(TEXTS * 10)],
    "label last": [[text, "spam" if index % 2 else "ham"] for index, text in enumerate(TEXTS * 10)],
    "labels of one row": [["3", "the team won"], ["1", "the bank lost"], ["2", "a new phone"]],
    "long first text": [["word" * 40, "a"], ["short", "b"], ["other", "c"]],
}


@pytest.mark.parametrize("case", HEADERLESS)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.xlsx"])
def test_a_table_without_a_header_keeps_its_first_row(tmp_path: Path, case: str, name: str) -> None:
    rows = HEADERLESS[case]
    path = write_table(tmp_path / name, rows)
    read, findings = rows_of(path)
    assert [list(row.values()) for row in read] == rows
    assert list(read[0]) == [str(number) for number in range(len(rows[0]))]
    (finding,) = findings
    assert all(word in finding.message for word in ("first line", "data.header", "--no-header"))
    assert rows_of(path, Reading(header=False)) == (read, [])


@pytest.mark.parametrize("header", [["text", "label"], ["Sentence", "Class"], ["kommentar", "klasse"], ["v2", "v1"]])
def test_a_header_is_no_row(tmp_path: Path, header: list[str]) -> None:
    path = write_table(tmp_path / "a.csv", [header, *([text, str(index % 2)] for index, text in enumerate(TEXTS))])
    read, findings = rows_of(path)
    assert (len(read), list(read[0]), findings) == (4, header, [])


def test_the_columns_that_are_needed_decide_about_the_header(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", [["spam", "ham"], ["spam", "b"], ["c", "ham"]])
    assert len(rows_of(path, Reading(columns=("spam",)))[0]) == 2
    assert len(rows_of(path, Reading(columns=("0", "1")))[0]) == 3


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_keys_of_the_recipe_state_the_form_of_a_file(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "gr\xfcn|a\nbl\xe4ulich|b\n", "cp1252")
    section = DataSection(path=str(tmp_path / name), encoding="cp1252", header=False, delimiter="pipe", text=["0"])
    assert sources.read(section).rows["train"] == [{"0": "grün", "1": "a"}, {"0": "bläulich", "1": "b"}]


@pytest.mark.parametrize("header", ["v1,v2,,,", "v1,v2,", ",v1,v2,,", "v1,,v2,"])
def test_columns_without_a_name_are_passed_over_and_kept(tmp_path: Path, header: str) -> None:
    names = header.split(",")
    body = [
        ",".join({"v1": ("ham", "spam")[index % 2], "v2": f'"{text}, {index}"'}.get(name, "") for name in names)
        for index, text in enumerate(TEXTS * 3)
    ]
    path = write(tmp_path / "spam.csv", "\n".join([header, *body, ""]))
    read, _ = rows_of(path)
    assert len(read) == 12
    assert all(len(row) == len(names) for row in read)
    dataset = load_dataset(DataSection(path=str(path)))
    assert sorted(dataset.labels.names) == ["ham", "spam"]


def test_filled_columns_without_a_name_are_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v1,v2,,\nham,some text,and more,\nspam,text,,\n")
    _, findings = rows_of(path)
    assert [finding.kind for finding in findings] == ["unnamed columns"]
