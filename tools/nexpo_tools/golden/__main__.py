"""Writes the golden vectors, from the runtime: part of `make generate`.

Each file of shared/contracts/golden is a list of cases in JSON: what goes in, and
what must come out. Bytes are base64, or hex where they are a digest or a nonce.
docs/reference/worker-protocol.md says what each file holds; a worker in another
language tests itself against them.
"""

from __future__ import annotations

import json
from pathlib import Path

from nexpo_tools.generate import ROOT
from nexpo_tools.golden import faults, names, payloads, tenants

FOLDER = Path("shared/contracts/golden")


def files() -> dict[Path, str]:
    """What each file must hold, by its path from the root."""
    vectors = {
        "encryption": payloads.encryption(),
        "failures": faults.failures(),
        "faults": faults.faults(),
        "grpc_answers": faults.grpc_answers(),
        "operation_names": names.operation_names(),
        "payloads": payloads.payloads(),
        "retries": names.retries(),
        "steps": names.steps(),
        "tenants": tenants.tenants(),
        "workflow_ids": names.workflow_ids(),
    }
    return {
        FOLDER / f"{name}.json": json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        for name, found in vectors.items()
    }


def main() -> None:
    """Writes the files, and deletes what is none of them."""
    folder, wanted = ROOT / FOLDER, files()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.relative_to(ROOT) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
