"""A small contract of its own, and the plugin run on it in process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from google.protobuf.compiler import plugin_pb2

from nexpo_tools import third_party
from nexpo_tools.generate import ROOT, generate
from nexpo_tools.protoc_gen_nexpo.__main__ import respond
from orders_contract import ORDERS, Plugin, compile_protos


@pytest.fixture(scope="session")
def orders_text() -> str:
    """A proto with one RPC of every kind, never seen by the workspace."""
    return (Path(__file__).parent / "orders.proto").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The protos of others, laid out."""
    folder = tmp_path_factory.mktemp("third_party")
    third_party.lay_out(folder)
    return folder


@pytest.fixture
def protos(tmp_path: Path, orders_text: str) -> Path:
    """A copy of the contract, with the orders in it."""
    folder = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", folder)
    target = folder / ORDERS
    target.parent.mkdir(parents=True)
    target.write_text(orders_text, encoding="utf-8")
    return folder


@pytest.fixture
def plugin(protos: Path, imports: Path) -> Plugin:
    """Runs the plugin on the orders, or on another file of the contract, after edits.

    Each edit is a text of the file and what stands there instead.
    """

    def run(
        *edits: tuple[str, str], file: str = ORDERS, parameter: str = ""
    ) -> plugin_pb2.CodeGeneratorResponse:
        path = protos / file
        text = path.read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text, f"{file} has no {old!r} to replace"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        compiled = compile_protos([protos, imports], [file])
        request = plugin_pb2.CodeGeneratorRequest(
            file_to_generate=[file], parameter=parameter, proto_file=compiled.file
        )
        return respond(request)

    return run


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory, orders_text: str) -> Path:
    """A workspace generated from the contract with the orders in it; do not change it."""
    root = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "proto", root / "proto")
    target = root / "proto" / ORDERS
    target.parent.mkdir(parents=True)
    target.write_text(orders_text, encoding="utf-8")
    generate(root / "proto", root)
    return root
