"""The AsyncAPI project's own JSON Schema of its format, from npm (`@asyncapi/specs`)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import httpx2

RELEASE = "6.11.1"
SHA256 = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"
NPM = os.environ.get("SOLESOURCE_NPM_URL", "https://registry.npmjs.org").rstrip("/")
URL = f"{NPM}/@asyncapi/specs/-/specs-{RELEASE}.tgz"
CACHE = Path.home() / ".cache" / "solesource" / f"asyncapi-specs-{RELEASE}.tgz"


def fetched(version: str) -> Any:
    """The schema of one version of the format. Raises httpx2.HTTPError, ValueError."""
    if not CACHE.exists():
        answer = httpx2.get(URL, timeout=60, follow_redirects=True)
        answer.raise_for_status()
        if hashlib.sha256(answer.content).hexdigest() != SHA256:
            msg = f"{URL} is not what was expected"
            raise ValueError(msg)
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        CACHE.write_bytes(answer.content)
    with tarfile.open(fileobj=io.BytesIO(CACHE.read_bytes())) as files:
        found = files.extractfile(f"package/schemas/{version}.json")
        assert found is not None
        return json.load(found)


def to_be_had() -> bool:
    """Whether it is here, or can be fetched."""
    try:
        return bool(fetched("3.1.0"))
    except httpx2.HTTPError:
        return False
