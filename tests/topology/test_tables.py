"""Files of rows: where they are looked for, what they hold, and how they travel."""

from __future__ import annotations

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.model import Rows, Table, Topology
from motel_locust.topology.reading import Source, parse_topology, read_topology
from motel_locust.topology.sheets import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPOLOGY = """
version: 1
services:
  shop:
    operations:
      sell:
        duration: 1ms
        attributes:
          a: {rows: {file: %s, column: %s}}
traffic: {rate: 1/s}
"""


def written(file: str = "t.csv", column: str = "a") -> bytes:
    return (TOPOLOGY % (file, column)).encode()


def table(topology: Topology) -> Table:
    generator = topology.services["shop"].operations["sell"].attributes["a"]
    assert isinstance(generator, Rows)
    return generator.table


def read(content: str | bytes, column: str = "a") -> Table:
    content = content.encode() if isinstance(content, str) else content
    files = {"t.csv": content}
    return table(parse_topology(Source("t.yaml", written(column=column), files=files)).topology)


def values(found: Table) -> dict[str, tuple[object, ...]]:
    return {name: tuple(column.values) for name, column in found.columns.items()}


def problem(source: Source | str) -> str:
    with pytest.raises(TopologyError) as caught:
        parse_topology(source) if isinstance(source, Source) else read_topology(source)
    [found] = caught.value.problems
    return found.headline


def test_a_file_lies_beside_the_topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text("a\nx\ny\n")
    for folder, file in ((tmp_path, "data/t.csv"), (tmp_path / "data", "./t.csv")):
        path = folder / "t.yaml"
        path.write_bytes(written(file))
        assert values(table(read_topology(str(path)).topology)) == {"a": ("x", "y")}
        monkeypatch.chdir(folder)
        assert values(table(read_topology("t.yaml").topology)) == {"a": ("x", "y")}


def test_what_was_read_travels_with_the_source(tmp_path: Path) -> None:
    path, file = tmp_path / "t.yaml", tmp_path / "t.csv"
    path.write_bytes(written("./t.csv"))
    file.write_text("a\nx\ny\n")
    first = read_topology(str(path))
    file.write_text("a\nx\nz\n")
    second = read_topology(str(path))
    file.unlink()
    assert first.source.files == {"t.csv": b"a\nx\ny\n"}
    assert parse_topology(first.source) == first
    assert values(table(second.topology)) == {"a": ("x", "z")}
    assert first.source.sha256 != second.source.sha256


def test_a_topology_without_rows_has_the_hash_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(TOPOLOGY.replace("{rows: {file: %s, column: %s}}", "{value: 1}").encode())
    source = read_topology(str(path)).source
    assert source.files is None
    assert source.sha256 == Source("other", source.content).sha256


def test_a_file_that_is_not_there_is_named_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(written("none.csv"))
    message = 'file "none.csv" cannot be read: No such file or directory [unreadable-source]'
    assert problem(str(path)) == f"{path}:9:28: {message}"
    path.write_bytes(written("-"))
    assert "No such file" in problem(str(path))


def test_standard_input_has_nothing_beside_it() -> None:
    message = 'file "t.csv" cannot lie beside standard input; give the topology as a file'
    assert problem(Source("<stdin>", written())) == f"<stdin>:9:28: {message} [unreadable-source]"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, directory=str(tmp_path), **options)  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_url_has_files_beside_it(tmp_path: Path, server: str) -> None:
    (tmp_path / "t.yaml").write_bytes(written("data/t.csv"))
    message = f'{server}/t.yaml:9:28: file "data/t.csv" answered with status 404 [url-status]'
    assert problem(f"{server}/t.yaml") == message
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text("a\nx\ny\n")
    assert values(table(read_topology(f"{server}/t.yaml?v=1").topology)) == {"a": ("x", "y")}


@pytest.mark.parametrize(
    "file", ["http://127.0.0.2/t.csv", "//127.0.0.2/t.csv", "file:///etc/passwd", "c:/t.csv"]
)
def test_a_url_s_files_are_on_its_server(file: str) -> None:
    found = problem(Source("http://127.0.0.1/t.yaml", written(f'"{file}"')))
    assert "is not on the server of the topology; write a relative path" in found


def test_cells_are_texts_as_they_stand() -> None:
    found = read('b,a\n1, x\n\n,"say ""hi"",\r\n3"\r\n3,\n')
    assert values(found) == {"a": (" x", 'say "hi",\r\n3', "")}
    assert values(read(b"\xef\xbb\xbfa\n\xc3\xb6\n")) == {"a": ("ö",)}


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["0", "-5", "9223372036854775807"], (0, -5, 2**63 - 1)),
        (["1", "x"], ("1", "x")),
        (["1", "007"], ("1", "007")),
        (["1", "+1"], ("1", "+1")),
        (["1", "1.0"], ("1", "1.0")),
        (["1", "-0"], ("1", "-0")),
        (["1", "9223372036854775808"], ("1", "9223372036854775808")),
        (["1", "٣"], ("1", "٣")),
    ],
)
def test_a_column_of_whole_numbers_has_whole_numbers(
    cells: list[str], wanted: tuple[object, ...]
) -> None:
    assert values(read("\n".join(["a", *cells]))) == {"a": wanted}


def test_a_column_without_a_name_is_no_weight() -> None:
    assert read("a,\nx,many\ny,\n").weights is None


def test_a_file_may_have_so_many_rows_and_no_more() -> None:
    content = "a\n" + "x\n" * MOST_ROWS
    assert len(read(content).columns["a"].rows) == 100_000
    source = Source("t.yaml", written(), files={"t.csv": f"{content}y\n".encode()})
    message = "is below the last of 100,000 rows [invalid-rows]"
    assert problem(source) == f"t.csv:100002:1: {message}"


def test_of_many_problems_the_first_are_told() -> None:
    content = b"a,b\n" + b"x\n" * 1000
    with pytest.raises(TopologyError) as caught:
        parse_topology(Source("t.yaml", written(), files={"t.csv": content}))
    assert [each.line for each in caught.value.problems] == list(range(2, 12))


def test_a_replay_needs_no_files() -> None:
    content = written() + b"mode: replay\nrecording: traces.jsonl\n"
    assert parse_topology(Source("t.yaml", content)).topology.mode == "replay"
