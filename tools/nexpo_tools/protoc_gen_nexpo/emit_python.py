"""Emits the Python stubs of the whole contract.

They import nexpo.contract, nexpo.client and nexpo.registry, which are the same for
every contract and written by hand in the package of the contracts.
"""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.emit_client import emit_client
from nexpo_tools.protoc_gen_nexpo.emit_comments import emit_comments
from nexpo_tools.protoc_gen_nexpo.emit_modules import emit_modules
from nexpo_tools.protoc_gen_nexpo.emit_queues import emit_queues
from nexpo_tools.protoc_gen_nexpo.emit_service import emit_service
from nexpo_tools.protoc_gen_nexpo.emit_temporal import emit_temporal
from nexpo_tools.protoc_gen_nexpo.model import Contract


def emit_python(contract: Contract) -> dict[str, str]:
    """The sources by their paths below the generated package."""
    outputs = {
        "nexpo/modules.py": emit_modules(contract),
        "nexpo/comments.py": emit_comments(contract),
        "nexpo/queues.py": emit_queues(contract),
        "nexpo/py.typed": "",
    }
    for file in contract.files:
        modules = {
            "temporal": emit_temporal(file, contract),
            "service": emit_service(file),
            "client": emit_client(file, contract),
        }
        for suffix, source in modules.items():
            if source is not None:
                outputs[f"{file.stem}_{suffix}.py"] = source
    return outputs
