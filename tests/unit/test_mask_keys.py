"""Keys for masked fields: which ones a map needs, and what is said of one that is not there or can be guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.rules import rules_of
from broker.settings import Settings, SettingsRefused
from ownership.reading import mask_keys
from tests.gate_parts import map_texts, object_document


def keys_of(**billing: Any) -> frozenset[int]:
    systems = {"erp": {"read": "all"}, "billing": billing}
    return mask_keys(rules_of(map_texts(object_document(systems=systems)), 1).ownership_map)


def settings(folder: Path, **secrets: str) -> Settings:
    (folder / "credentials.json").write_text(json.dumps({n.replace("_", "-"): s for n, s in secrets.items()}))
    return Settings(credentials_file=folder / "credentials.json")


def test_a_map_needs_the_keys_of_its_masks() -> None:
    assert keys_of(read=["name"]) == frozenset()
    assert keys_of(read="all", masked=["email"]) == {1}
    assert keys_of(read=["name", "email"], masked=["email"], mask_key=7) == {7}


def test_a_key_that_is_not_there_or_is_short(tmp_path: Path) -> None:
    found = settings(tmp_path, mask_key_1="0123456789abcdef", mask_key_2="short-secret")
    assert found.mask_key(1) == b"0123456789abcdef"
    with pytest.raises(SettingsRefused, match=r"no password of mask-key-3 \[settings.credentials\]"):
        found.mask_key(3)
    with pytest.raises(SettingsRefused, match=r"mask-key-2 .* has 12 bytes \[settings.mask_key\]") as refused:
        found.mask_key(2)
    assert "short-secret" not in str(refused.value)
