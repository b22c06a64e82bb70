"""Generates everything that comes from the contract: `make generate`.

protoc runs once, from the wheel of grpcio-tools, with plugins from wheels; no
network. What is written goes through a temporary folder, so that a refused
contract changes nothing and files of an RPC that is gone disappear.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path

from nexpo_tools import third_party

ROOT = Path(__file__).resolve().parents[2]
# What mypy must know of messages that others generated without types.
_TYPED = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/longrunning/operations.proto",
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
)
# What is written by hand among the generated files: it depends on no proto.
_BY_HAND = frozenset({"client.py", "contract.py", "registry.py", "worker-protocol.md"})


class GenerationError(Exception):
    """protoc refused the contract; the text is protoc's."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Where generated files lie.

    Attributes:
        python: The package nexpo and the messages of buf.validate.
        typings: Stubs of google.*, for mypy only.
        reference: Markdown pages.
    """

    python: Path
    typings: Path
    reference: Path

    @classmethod
    def below(cls, root: Path) -> Tree:
        """The tree of a workspace."""
        contracts = root / "shared/contracts"
        return cls(contracts, contracts / "typings", root / "docs/reference")

    def files(self) -> Iterator[tuple[Path, Path]]:
        """Every generated file: its folder in the tree, and its path below that."""
        for folder in (self.python / "nexpo", self.python / "buf", self.typings, self.reference):
            for path in sorted(folder.rglob("*")):
                below = path.relative_to(folder)
                if (
                    path.is_file()
                    and "__pycache__" not in path.parts
                    and str(below) not in _BY_HAND
                ):
                    yield folder, below


def generate(protos: Path, root: Path) -> None:
    """Writes everything that comes from the protos below `root`.

    Args:
        protos: Folder of the contract's own protos.
        root: A workspace, or an empty folder; gets shared/contracts and docs/reference.

    Raises:
        GenerationError: The contract is refused.
    """
    tree = Tree.below(root)
    for folder in (tree.python, tree.typings, tree.reference):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nexpo-protos-") as name:
        imports = Path(name)
        third_party.lay_out(imports)
        own = [str(path.relative_to(protos)) for path in sorted(protos.rglob("*.proto"))]
        # First: its checks refuse a contract before anything is written.
        _protoc(protos, imports, own, [f"--nexpo_out={tree.python}"])
        _protoc(protos, imports, own, [f"--nexpo_out=reference:{tree.reference}"])
        _protoc(protos, imports, [*own, third_party.VALIDATE], _outputs(tree))
        google = [f"--mypy_out=quiet:{tree.typings}", f"--mypy_grpc_out=quiet:{tree.typings}"]
        _protoc(protos, imports, list(_TYPED), google)
    _drop_empty_services(tree)


def _outputs(tree: Tree) -> list[str]:
    return [
        f"--python_out={tree.python}",
        f"--grpc_python_out={tree.python}",
        f"--mypy_out=quiet:{tree.python}",
        f"--mypy_grpc_out=quiet:{tree.python}",
    ]


def _protoc(protos: Path, imports: Path, files: list[str], outputs: list[str]) -> None:
    scripts = Path(sysconfig.get_path("scripts"))
    plugins = [
        f"--plugin={name}={scripts / name}"
        for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc", "protoc-gen-nexpo")
    ]
    with resources.as_file(resources.files("grpc_tools") / "_proto") as well_known:
        folders = [f"-I{folder}" for folder in (protos, imports, well_known)]
        command = [sys.executable, "-m", "grpc_tools.protoc", *folders, *plugins, *outputs, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GenerationError(done.stderr.strip() or done.stdout.strip())


def _drop_empty_services(tree: Tree) -> None:
    """Deletes the gRPC modules of files that have no service."""
    for folder in (tree.python, tree.typings):
        for path in folder.rglob("*_pb2_grpc.py*"):
            if not re.search(r"^class \w+Stub\b", path.read_text(encoding="utf-8"), re.MULTILINE):
                path.unlink()


class Difference(Enum):
    """How a generated file differs from what the protos say: as a fault, and once it is mended."""

    MISSING = ("is missing", "new")
    LEFT_OVER = ("comes from no proto any more", "removed")
    OTHER = ("is not what the protos say", "changed")

    def __init__(self, fault: str, mended: str) -> None:
        self.fault = fault
        self.mended = mended


def differences(root: Path, fresh: Path) -> dict[Path, Difference]:
    """What differs between the generated files of two workspaces, by path."""
    ours, theirs = Tree.below(root), Tree.below(fresh)
    committed = {folder.relative_to(root) / path for folder, path in ours.files()}
    expected = {folder.relative_to(fresh) / path for folder, path in theirs.files()}
    found = dict.fromkeys(expected - committed, Difference.MISSING)
    found |= dict.fromkeys(committed - expected, Difference.LEFT_OVER)
    for path in committed & expected:
        if not filecmp.cmp(root / path, fresh / path, shallow=False):
            found[path] = Difference.OTHER
    return dict(sorted(found.items()))


def drift(root: Path, fresh: Path) -> list[str]:
    """The differences as faults, one line per file."""
    return [f"{path}: {how.fault}" for path, how in differences(root, fresh).items()]


def summary(found: Mapping[Path, Difference]) -> str:
    """What was written, for people."""
    if not found:
        return "generated; nothing has changed"
    files = "1 file has" if len(found) == 1 else f"{len(found)} files have"
    lines = [f"  {how.mended:<8}{path}" for path, how in found.items()]
    return "\n".join([f"generated; {files} changed", *lines])


def main() -> None:
    """Entry point of `make generate`; --check compares and writes nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is committed")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="nexpo-generated-") as name:
        fresh = Path(name)
        try:
            generate(ROOT / "proto", fresh)
        except GenerationError as error:
            sys.exit(str(error))
        if check:
            lines = drift(ROOT, fresh)
            sys.exit("\n".join([*lines, "run `make generate`"]) if lines else 0)
        found = differences(ROOT, fresh)
        _install(fresh)
    third_party.lay_out(ROOT / "third_party")
    print(summary(found))


def _install(fresh: Path) -> None:
    """Makes the workspace's generated files those of `fresh`, touching no other."""
    wanted = {folder.relative_to(fresh) / path for folder, path in Tree.below(fresh).files()}
    for folder, path in list(Tree.below(ROOT).files()):
        if folder.relative_to(ROOT) / path not in wanted:
            (folder / path).unlink()
    for path in sorted(wanted):
        target = ROOT / path
        if target.exists() and filecmp.cmp(target, fresh / path, shallow=False):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place: others may be importing the package right now.
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(fresh / path, partial)
        partial.replace(target)


if __name__ == "__main__":
    main()
