"""A stub of Hugging Face's hub on loopback, and folders as its client's cache has them."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Files = Mapping[tuple[str, str], bytes]
"""(``OWNER/NAME``, file name) to what is in it."""


@contextmanager
def serve_files(files: Files) -> Iterator[tuple[str, list[str]]]:
    """Serve `files` as the hub does: its address, and the requests so far, ``GET /OWNER/NAME/resolve/REVISION/FILE``."""
    names = {repository for repository, _ in files}

    def find(path: str) -> bytes | str:
        owner, name, *rest = [*path.strip("/").split("/"), "", ""]
        repository = f"{owner}/{name}"
        missing = "EntryNotFound" if repository in names else "RepoNotFound"
        return files.get((repository, "/".join(rest[2:]).strip("/")), missing)

    with serve_paths(find) as served:
        yield served


@contextmanager
def serve_paths(find: Callable[[str], bytes | str]) -> Iterator[tuple[str, list[str]]]:
    """Serve what `find` has for a path, or the code of the hub's error that it names: address, and the requests so far."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.reply(with_body=False)

        def do_GET(self) -> None:
            self.reply(with_body=True)

        def reply(self, *, with_body: bool) -> None:
            asked.append(f"{self.command} {self.path}")
            found = find(self.path)
            data = found if isinstance(found, bytes) else b""
            self.send_response(404 if isinstance(found, str) else 200)
            if isinstance(found, str):
                self.send_header("X-Error-Code", found)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if with_body:
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fill_cache(cache: Path, files: Files) -> None:
    """Lay files into `cache`, the folder ``hub`` of the client, as downloads of `COMMIT` on ``main``."""
    for (repository, name), data in files.items():
        root = cache / f"models--{repository.replace('/', '--')}"
        path = root / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text(COMMIT)
