"""Stand-in for the Hugging Face Hub: plain folders behind the Hub's protocol, with faults that can be switched on.

The unmodified `hf` client talks to it. Folders are ROOT/<organisation>/<repository>; files over a size or with the
ending of an archive or image are served as LFS files (sha256), the others as regular ones (git blob sha1).
"""

import argparse
import asyncio
import base64
import hashlib
import json
import math
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

LFS_BYTES = 10_000_000
LFS_ENDINGS = (".tar", ".gz", ".safetensors", ".bin", ".jpg", ".png", ".mp4", ".ckpt", ".pth")
PAGE = 1000
KEPT = ".commits"
"""Folder of the repositories as they were before a push, by commit."""
CHUNK = 1 << 18
PIECE = 1 << 23
"""Bytes that the kernel sends by itself between two counts; smaller files are not worth the call."""


@dataclass
class Fault:
    """One fault: where, what, how often."""

    match: str
    kind: str
    """drop, status, stall, throttle, flip, longer, no-ranges, missing, renamed, gated, html, limit, cut, endless."""
    count: int | None = None
    value: float = 0
    """Bytes before a drop or stall, or too many; a status code; bytes per second; the flipped byte; requests per window."""
    retry_after: int = 0
    """Seconds; of a limit, the length of its window."""
    ends: float = 0
    used: int = 0

    def hits(self, path: str) -> bool:
        """Whether the fault strikes now; counts down."""
        if not re.search(self.match, path) or self.count == 0:
            return False
        if self.count is not None:
            self.count -= 1
        return True

    def exceeded(self) -> int:
        """Seconds until a limit allows requests again; 0 while it does."""
        now = time.monotonic()
        if now >= self.ends:
            self.ends, self.used = now + self.retry_after, 0
        self.used += 1
        return 0 if self.used <= self.value else math.ceil(self.ends - now)


@dataclass
class Hub:
    """State of the server."""

    root: Path
    token: str
    frozen: bool = False
    """The folders do not change while they are served, so that a listing is made once."""
    faults: list[Fault] = field(default_factory=list)
    payload: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str, str, int]] = field(default_factory=list)
    hashes: dict[tuple[str, int, int], tuple[str, str]] = field(default_factory=dict)
    lfs_uploads: dict[str, bytes] = field(default_factory=dict)
    listings: dict[str, list[Path]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)

    def fault(self, path: str, *kinds: str) -> Fault | None:
        """The first fault of these kinds that strikes this path."""
        return next((fault for fault in self.faults if fault.kind in kinds and fault.hits(path)), None)

    def repository(self, name: str, revision: str = "main") -> Path:
        """Folder of a repository, at a commit that `push` has kept; 404 as the Hub says it."""
        kept = self.root / KEPT / revision
        folder = kept if kept.is_dir() else self.root / name
        if not folder.is_dir() or self.fault(f"/{name}/", "renamed"):
            raise error(404, "RepoNotFound", "Repository Not Found")
        return folder

    def files(self, name: str, revision: str = "main") -> list[Path]:
        """Files of a repository that the Hub admits to hold."""
        folder = self.repository(name, revision)
        if not self.frozen or name not in self.listings:
            self.listings[name] = sorted(path for path in folder.rglob("*") if path.is_file())
        return [path for path in self.listings[name] if self.holds(name, path.relative_to(folder))]

    def holds(self, name: str, below: Path) -> bool:
        """Whether the Hub admits to hold a file of a repository."""
        hidden = any(fault.kind == "missing" for fault in self.faults)
        return not hidden or not self.fault(f"/{name}/{below}", "missing")

    def hash(self, path: Path) -> tuple[str, str]:
        """Git blob sha1 and sha256 of a file."""
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in self.hashes:
            blob, sha256 = hashlib.sha1(f"blob {status.st_size}\0".encode()), hashlib.sha256()
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    blob.update(chunk)
                    sha256.update(chunk)
            self.hashes[key] = (blob.hexdigest(), sha256.hexdigest())
        return self.hashes[key]

    def commit(self, name: str, revision: str = "main") -> str:
        """A commit that changes with the content."""
        if (self.root / KEPT / revision).is_dir():
            return revision
        if not self.frozen or name not in self.commits:
            listing = [f"{path}{path.stat().st_size}{path.stat().st_mtime_ns}" for path in self.files(name)]
            self.commits[name] = hashlib.sha1("\n".join([name, *listing]).encode()).hexdigest()
        return self.commits[name]


HUB = web.AppKey("hub", Hub)


def error(status: int, code: str, message: str, retry_after: int = 0) -> web.HTTPException:
    """An error with the headers that the client reads."""
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    if retry_after:
        headers["Retry-After"] = str(retry_after)
    classes: dict[int, type[web.HTTPException]] = {
        401: web.HTTPUnauthorized,
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        429: web.HTTPTooManyRequests,
        500: web.HTTPInternalServerError,
        503: web.HTTPServiceUnavailable,
    }
    return classes[status](headers=headers, text=json.dumps({"error": message}), content_type="application/json")


def is_lfs(path: Path) -> bool:
    """Whether the Hub would hold this file as LFS."""
    return path.suffix in LFS_ENDINGS or path.stat().st_size > LFS_BYTES


@web.middleware
async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
    """Token, status faults and the record of requests."""
    hub = request.app[HUB]
    if request.path.startswith("/_admin"):
        return await handler(request)  # type: ignore[no-any-return]
    status = 500
    try:
        if page := hub.fault(request.path, "html"):  # of a network that wants a sign-in, or of a filter
            status = int(page.value)
            return web.Response(status=status, text="<html>Sign in</html>", content_type="text/html")
        if not request.path.startswith(("/cdn/", "/lfs/")) and request.headers.get("Authorization") != f"Bearer {hub.token}":
            raise error(
                401,
                "RepoNotFound" if "Authorization" not in request.headers else "",
                "Invalid username or password.",
            )
        if fault := hub.fault(request.path, "status"):
            code = {404: "RepoNotFound"}.get(int(fault.value), "")
            raise error(int(fault.value), code, f"fault {int(fault.value)}", fault.retry_after)
        if "/resolve/" in request.path and hub.fault(request.path, "gated"):  # the API answers, the files do not
            raise error(403, "GatedRepo", "Access to this repository is restricted")
        if (limit := hub.fault(request.path, "limit")) and (seconds := limit.exceeded()):
            raise error(429, "", "rate limit", seconds)
        if request.method == "GET" and hub.fault(request.path, "endless"):
            await send_endless(request)
        response: web.StreamResponse = await handler(request)
        if isinstance(response, web.Response) and response.body and hub.fault(request.path, "cut"):
            response = await send_half(request, response)
        status = response.status
    except web.HTTPException as problem:
        status = problem.status
        raise
    except ConnectionResetError:  # the client hung up, perhaps because it was killed
        status = 499
        return web.Response(status=status)
    else:
        return response
    finally:
        hub.requests.append((request.method, request.path, request.headers.get("Range", ""), status))


async def send_endless(request: web.Request) -> None:
    """A body of unknown length that goes on until the client hangs up."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"[")
    while True:
        await response.write(b" " * CHUNK)
        await asyncio.sleep(0.1)


async def send_half(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """The first half of an answer of the API, whose head says that it is whole."""
    assert isinstance(whole.body, bytes)
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(whole.body)
    await response.prepare(request)
    await response.write(whole.body[: len(whole.body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def repo_info(request: web.Request) -> web.Response:
    """What `repo_info` asks."""
    hub, name = request.app[HUB], request.match_info["name"]
    revision = request.match_info.get("revision", "main")
    folder = hub.repository(name, revision)
    siblings = [{"rfilename": str(path.relative_to(folder))} for path in hub.files(name, revision)]
    private = (hub.root / f"{name.replace('/', '/.')}.private").exists()
    return web.json_response(
        {"_id": "0", "id": name, "sha": hub.commit(name, revision), "private": private, "gated": False, "disabled": False,
         "siblings": siblings, "tags": [], "downloads": 0, "likes": 0, "lastModified": "2026-03-01T00:00:00.000Z"}
    )  # fmt: skip


def entry(hub: Hub, folder: Path, path: Path) -> dict[str, Any]:
    """One line of a tree listing."""
    sha1, sha256 = hub.hash(path)
    result: dict[str, Any] = {
        "type": "file", "oid": sha1, "size": path.stat().st_size, "path": str(path.relative_to(folder))
    }  # fmt: skip
    if is_lfs(path):
        result["lfs"] = {"oid": sha256, "size": path.stat().st_size, "pointerSize": 130}
    return result


async def tree(request: web.Request) -> web.Response:
    """The recursive listing, page by page."""
    hub, name, revision = request.app[HUB], request.match_info["name"], request.match_info["revision"]
    folder = hub.repository(name, revision)
    below = request.match_info.get("path") or ""
    files = [path for path in hub.files(name, revision) if not below or str(path.relative_to(folder)).startswith(below)]
    start = int(request.query.get("cursor", "0"))
    entries = await asyncio.to_thread(lambda: [entry(hub, folder, path) for path in files[start : start + PAGE]])
    headers = {}
    if start + PAGE < len(files):
        query = {**request.query, "cursor": str(start + PAGE)}
        headers["Link"] = f'<{request.url.with_query(query)}>; rel="next"'
    return web.json_response(entries, headers=headers)


async def paths_info(request: web.Request) -> web.Response:
    """The listing of named files."""
    hub, name, revision = request.app[HUB], request.match_info["name"], request.match_info["revision"]
    folder = hub.repository(name, revision)
    if request.content_type == "application/json":
        wanted = (await request.json())["paths"]
    else:
        wanted = [str(path) for path in (await request.post()).getall("paths")]
    files = {str(path.relative_to(folder)): path for path in hub.files(name, revision)}
    return web.json_response([entry(hub, folder, files[path]) for path in wanted if path in files])


async def resolve(request: web.Request) -> web.StreamResponse:
    """A file: metadata on HEAD, bytes of regular files, a redirect for LFS files as the Hub does."""
    hub, name, relative = request.app[HUB], request.match_info["name"], request.match_info["path"]
    revision = request.match_info["revision"]
    path = hub.repository(name, revision) / relative
    if not path.is_file() or not hub.holds(name, Path(relative)):
        missing = error(404, "EntryNotFound", "Entry not found")
        missing.headers["X-Repo-Commit"] = hub.commit(name, revision)
        raise missing
    sha1, sha256 = await asyncio.to_thread(hub.hash, path)
    headers = {"X-Repo-Commit": hub.commit(name, revision), "Accept-Ranges": "bytes", "ETag": f'"{sha1}"'}
    if is_lfs(path):
        headers |= {"X-Linked-Size": str(path.stat().st_size), "X-Linked-ETag": f'"{sha256}"'}
        # another host, as the real one
        headers["Location"] = f"http://localhost:{request.url.port}/cdn/{name}/{relative}?at={revision}"
        return web.Response(status=302, headers=headers)
    if request.method == "HEAD":
        return web.Response(headers={**headers, "Content-Length": str(path.stat().st_size)})
    return await send(request, path, f"{name}/{relative}", headers)


async def cdn(request: web.Request) -> web.StreamResponse:
    """The bytes of an LFS file."""
    hub, relative = request.app[HUB], request.match_info["path"]
    kept = hub.root / KEPT / request.query["at"]
    path = kept / relative.split("/", 2)[2] if kept.is_dir() else hub.root / relative
    if not path.is_file():
        raise error(404, "EntryNotFound", "Entry not found")
    return await send(request, path, relative, {"ETag": f'"{hub.hash(path)[1]}"'})


async def send(request: web.Request, path: Path, name: str, headers: dict[str, str]) -> web.StreamResponse:
    """Send a file, whole or from an offset, with the faults that are on."""
    hub = request.app[HUB]
    longer = hub.fault(request.path, "longer") if request.method != "HEAD" else None
    size = path.stat().st_size + (int(longer.value) if longer else 0)
    ranges = "" if hub.fault(request.path, "no-ranges") else request.headers.get("Range", "")
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", ranges)
    start = int(match[1]) if match else 0
    end = int(match[2]) + 1 if match and match[2] else size
    if start >= size and size:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = web.StreamResponse(status=206 if match else 200, headers={**headers, "Accept-Ranges": "bytes"})
    response.content_length = end - start
    if match:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    fault = hub.fault(request.path, "drop", "stall", "throttle", "flip")
    if not fault and not longer and end - start >= PIECE:
        await send_by_kernel(hub, request, path, name, start, end)
        await response.write_eof()
        return response
    sent = 0
    with path.open("rb") as file:
        file.seek(start)
        while sent < end - start:
            limit = min(CHUNK, end - start - sent)
            if fault and fault.kind in ("drop", "stall"):
                limit = min(limit, int(fault.value) - sent)
                if limit <= 0:
                    if fault.kind == "stall":
                        await asyncio.sleep(3600)
                    assert request.transport is not None
                    request.transport.close()  # what was written is sent first, as the counted bytes say
                    return response
            if fault and fault.kind == "throttle":
                limit = min(limit, max(1, int(fault.value / 10)))
                await asyncio.sleep(0.1)
            chunk = bytearray(file.read(limit).ljust(limit, b"\0"))
            if fault and fault.kind == "flip" and start + sent <= fault.value < start + sent + len(chunk):
                chunk[int(fault.value) - start - sent] ^= 1
            await response.write(chunk)
            sent += len(chunk)
            hub.payload[name] += len(chunk)
    await response.write_eof()
    return response


async def send_by_kernel(hub: Hub, request: web.Request, path: Path, name: str, start: int, end: int) -> None:
    """Send bytes from the page cache, so that measurements do not measure Python."""
    assert request.transport is not None
    loop = asyncio.get_running_loop()
    with path.open("rb") as file:
        for offset in range(start, end, PIECE):
            file.seek(offset)
            try:
                await loop.sendfile(request.transport, file, offset, min(PIECE, end - offset))
            except RuntimeError as closed:  # asyncio's word for a client that hung up
                raise ConnectionResetError(str(closed)) from None
            finally:
                hub.payload[name] += file.tell() - offset


async def create(request: web.Request) -> web.Response:
    """A new repository; `private` is kept beside it."""
    hub, wanted = request.app[HUB], await request.json()
    name = f"{wanted.get('organization') or 'collaborator'}/{wanted['name']}"
    folder = hub.root / name
    if folder.exists():
        raise web.HTTPConflict(text=json.dumps({"error": "exists", "url": name}), content_type="application/json")
    folder.mkdir(parents=True)
    if wanted.get("private") or wanted.get("visibility") == "private":
        (folder.parent / f".{folder.name}.private").touch()
    return web.json_response({"url": f"http://{request.host}/{name}", "name": name})


async def preupload(request: web.Request) -> web.Response:
    """Which files go as LFS."""
    files = (await request.json())["files"]
    modes = [
        (file["path"], "lfs" if file["path"].endswith(LFS_ENDINGS) or file["size"] > LFS_BYTES else "regular") for file in files
    ]
    return web.json_response({"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes]})


async def lfs_batch(request: web.Request) -> web.Response:
    """Where LFS files are put; what is there already is not asked for again."""
    hub, objects = request.app[HUB], []
    for entry_ in (await request.json())["objects"]:
        actions = {"upload": {"href": f"http://{request.host}/lfs/{entry_['oid']}", "header": {}}}
        known = entry_["oid"] in hub.lfs_uploads
        objects.append({"oid": entry_["oid"], "size": entry_["size"], **({} if known else {"actions": actions})})
    return web.json_response({"transfer": "basic", "objects": objects}, content_type="application/vnd.git-lfs+json")


async def lfs_put(request: web.Request) -> web.Response:
    """The bytes of an LFS file; wrong ones are refused."""
    hub, data = request.app[HUB], await request.read()
    if hashlib.sha256(data).hexdigest() != request.match_info["oid"]:
        raise web.HTTPBadRequest(text="these bytes have another sha256")
    hub.lfs_uploads[request.match_info["oid"]] = data
    return web.Response()


async def commit(request: web.Request) -> web.Response:
    """A commit: lines of JSON, each with a key and a value."""
    hub, name = request.app[HUB], request.match_info["name"]
    folder = hub.repository(name)
    for line in (await request.text()).splitlines():
        part = json.loads(line)
        value = part["value"]
        if part["key"] == "file":
            data = base64.b64decode(value["content"])
        elif part["key"] == "lfsFile":
            data = hub.lfs_uploads[value["oid"]]
        else:
            continue
        (folder / value["path"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / value["path"]).write_bytes(data)
    url = f"http://{request.host}/{name}/commit/{'0' * 40}"
    return web.json_response({"success": True, "commitUrl": url, "commitOid": "0" * 40, "hookOutput": ""})


async def whoami(_: web.Request) -> web.Response:
    """Who the token belongs to."""
    return web.json_response({"type": "user", "name": "collaborator", "orgs": [], "auth": {"accessToken": {"role": "read"}}})


async def admin(request: web.Request) -> web.Response:
    """Faults and statistics; for the tests only."""
    hub = request.app[HUB]
    if request.method == "POST":
        hub.faults = [Fault(**fault) for fault in await request.json()]
    if request.method == "DELETE":
        hub.payload.clear()
        hub.requests.clear()
    return web.json_response({"payload": dict(hub.payload), "requests": hub.requests, "time": time.time()})


def application(hub: Hub) -> web.Application:
    """The routes of the Hub."""
    app = web.Application(middlewares=[guard], client_max_size=1 << 30)
    app[HUB] = hub
    name = r"{name:[^/]+/[^/]+}"
    for kind in ("datasets", "models"):
        app.router.add_get(f"/api/{kind}/{name}", repo_info)
        app.router.add_get(f"/api/{kind}/{name}/revision/{{revision}}", repo_info)
        app.router.add_get(f"/api/{kind}/{name}/tree/{{revision}}", tree)
        app.router.add_get(f"/api/{kind}/{name}/tree/{{revision}}/{{path:.+}}", tree)
        app.router.add_post(f"/api/{kind}/{name}/paths-info/{{revision}}", paths_info)
        app.router.add_post(f"/api/{kind}/{name}/preupload/{{revision}}", preupload)
        app.router.add_post(f"/api/{kind}/{name}/commit/{{revision}}", commit)
    app.router.add_post("/api/repos/create", create)
    app.router.add_post(r"/{name:[^/]+/[^/]+}.git/info/lfs/objects/batch", lfs_batch)
    app.router.add_put("/lfs/{oid}", lfs_put)
    app.router.add_get(f"/datasets/{name}/resolve/{{revision}}/{{path:.+}}", resolve)
    app.router.add_get("/cdn/{path:.+}", cdn)
    app.router.add_get("/api/whoami-v2", whoami)
    app.router.add_route("*", "/_admin", admin)
    return app


def main() -> None:
    """Serve until killed; the token comes by environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--frozen", action="store_true", help="the folders do not change while they are served")
    arguments = parser.parse_args()
    hub = Hub(arguments.root, os.environ["STANDIN_HUB_TOKEN"], frozen=arguments.frozen)
    web.run_app(application(hub), host="127.0.0.1", port=arguments.port, print=None, handle_signals=True)


if __name__ == "__main__":
    main()
