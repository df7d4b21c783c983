"""A stub of the Hub on loopback: the endpoints that huggingface_hub really calls to push and pull, and no others.

    POST /api/repos/create
    POST /api/validate-yaml
    GET  /api/models/OWNER/NAME[/revision/REV]       also with ?blobs=true
    POST /api/models/OWNER/NAME/preupload/REV        files of 10 kB and more are to go by LFS
    POST /OWNER/NAME.git/info/lfs/objects/batch      then PUT /lfs/OID
    POST /api/models/OWNER/NAME/commit/REV           NDJSON
    HEAD and GET /OWNER/NAME/resolve/REV/FILE

It knows one branch and its commits, takes whatever a token it knows sends, and answers 401 without one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote
from urllib.parse import urlsplit

TOKEN = "hf_secretsecretsecret"
REPO = "me/digits"
LFS_BYTES = 10_000


class Hub:
    """What the stub holds, and what it was asked."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {"0" * 40: {".gitattributes": b""}}
        self.head = "0" * 40
        self.blobs: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.endpoint = ""

    def commit(self, changes: dict[str, bytes]) -> str:
        """A new state of the repository; its name."""
        files = {**self.commits[self.head], **changes}
        names = json.dumps([[n, hashlib.sha1(d).hexdigest()] for n, d in sorted(files.items())])
        self.head = hashlib.sha1((self.head + names).encode()).hexdigest()
        self.commits[self.head] = files
        return self.head

    def resolve(self, revision: str) -> dict[str, bytes] | None:
        """The files at a branch or commit."""
        return self.commits.get(self.head if revision == "main" else revision)


@contextlib.contextmanager
def serve_hub() -> Iterator[Hub]:
    """The stub, while it answers."""
    hub = Hub()

    class Handler(_Handler):
        held = hub

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield hub
        server.shutdown()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    held: Hub

    def log_message(self, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        path = self._begin()
        if path.startswith(f"/api/models/{REPO}"):
            revision = path.partition("/revision/")[2] or "main"
            files = self.held.resolve(revision)
            if files is None:
                return self._json({"error": "Revision Not Found"}, 404, RevisionNotFound)
            commit = self.held.head if revision == "main" else revision
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            return self._json({"id": REPO, "modelId": REPO, "sha": commit, "siblings": siblings})
        return self._file(path, whole=True)

    def do_HEAD(self) -> None:
        self._file(self._begin(), whole=False)

    def do_PUT(self) -> None:
        path, data = self._begin(), self._body()
        oid = path.rpartition("/")[2]
        assert hashlib.sha256(data).hexdigest() == oid
        self.held.blobs[oid] = data
        self._json({})

    def do_POST(self) -> None:
        path, data = self._begin(), self._body()
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._json({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            self.held.created.append(json.loads(data))
            return self._json({"url": f"{self.held.endpoint}/{REPO}", "id": REPO})
        if path.startswith(f"/api/models/{REPO}/preupload/"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LFS_BYTES else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(data)["files"]
            ]
            return self._json({"files": files})
        if path == f"/{REPO}.git/info/lfs/objects/batch":
            objects = [
                {
                    **each,
                    "actions": {"upload": {"href": f"{self.held.endpoint}/lfs/{each['oid']}"}},
                }
                for each in json.loads(data)["objects"]
            ]
            return self._json({"transfer": "basic", "objects": objects})
        if path.startswith(f"/api/models/{REPO}/commit/"):
            return self._commit(data)
        return self._json({"error": f"no such endpoint: {path}"}, 404)

    def _commit(self, data: bytes) -> None:
        changes = {}
        for line in data.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                changes[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                changes[value["path"]] = self.held.blobs[value["oid"]]
        oid = self.held.commit(changes)
        url = f"{self.held.endpoint}/{REPO}/commit/{oid}"
        self._json({"commitUrl": url, "commitOid": oid, "hookOutput": ""})

    def _file(self, path: str, *, whole: bool) -> None:
        _, _, after = path.partition(f"/{REPO}/resolve/")
        revision, _, name = after.partition("/")
        data = (self.held.resolve(revision) or {}).get(name)
        if data is None:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", self.held.head if revision == "main" else revision)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if whole:
            self.wfile.write(data)

    def _begin(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.held.asked.append(f"{self.command} {path}")
        return path

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _json(self, value: Any, status: int = 200, more: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (more or {}).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


RevisionNotFound = {"X-Error-Code": "RevisionNotFound"}
