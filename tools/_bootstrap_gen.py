"""temporary generation until the plugin exists"""

import sys, subprocess, glob
from google.protobuf import descriptor_pb2
import google.longrunning.operations_proto_pb2 as a, google.api.annotations_pb2 as b, google.rpc.error_details_pb2 as c, google.api.client_pb2, google.api.field_behavior_pb2
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2, struct_pb2, empty_pb2
import protovalidate._gen.buf.validate.validate_pb as v

fds = descriptor_pb2.FileDescriptorSet()
seen = set()


def add(fd):
    if fd.name in seen:
        return
    seen.add(fd.name)
    for d in fd.dependencies:
        add(d)
    fd.CopyToProto(fds.file.add())


for m in (
    a,
    b,
    c,
    google.api.client_pb2,
    google.api.field_behavior_pb2,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
    struct_pb2,
    empty_pb2,
    descriptor_pb2,
):
    add(m.DESCRIPTOR)
p = v._DESC.proto
raw = p.to_binary() if hasattr(p, "to_binary") else bytes(p)
fds.file.add().ParseFromString(raw)
open("/tmp/w/deps.binpb", "wb").write(fds.SerializeToString())
protos = [x[len("proto/") :] for x in sorted(glob.glob("proto/nexpo/*/v1/*.proto"))] + [
    "buf/validate/validate.proto"
]
base = [sys.executable, "-m", "grpc_tools.protoc", "--descriptor_set_in=/tmp/w/deps.binpb"]
# also pass our protos
subprocess.run(
    [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-Iproto",
        "--descriptor_set_in=/tmp/w/deps.binpb",
        "--python_out=shared/contracts",
        "--pyi_out=/tmp/w/pyi",
        "--grpc_python_out=shared/contracts",
        "--plugin=protoc-gen-mypy=.venv/bin/protoc-gen-mypy",
        "--mypy_out=quiet:shared/contracts",
        *protos,
    ],
    check=True,
)
