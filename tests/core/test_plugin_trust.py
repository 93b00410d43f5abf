"""Which folders and files are refused, because others could have changed them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plugin_files import write

from llm_framework import ModelInfo, PluginManager
from llm_framework.plugins import PluginStatus

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
ACME = ModelInfo("x", backend_type="acme")


async def load(folder: Path) -> PluginStatus:
    """What becomes of the only plugin of a folder, or of the folder."""
    manager = PluginManager([folder])
    await manager.load_plugins()
    (status,) = manager.list_plugins()
    assert (manager.get_plugin_for_model(ACME) is not None) == status.loaded
    return status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "plugins"
    write(folder)
    write(folder, "other/unused.txt")
    return folder


async def test_a_folder_of_ones_own_is_taken(folder: Path) -> None:
    """What only we (and root) can write to is loaded, below a sticky folder like /tmp too."""
    folder.parent.chmod(0o1777)
    assert (await load(folder)).loaded


@as_root
async def test_a_group_of_ones_own_is_nobody_else(folder: Path) -> None:
    """Many systems give each user a group, and let it write by default: that is taken."""
    os.chmod(folder, 0o775)
    assert (await load(folder)).loaded


@pytest.mark.parametrize("place", ["", "..", "acme.py", "__pycache__"])
@pytest.mark.parametrize(
    ("mode", "says"),
    [(0o777, "every user may write to"), pytest.param(0o770, "its group may write to", marks=as_root)],
)
async def test_what_others_can_write_to_is_refused(folder: Path, place: str, mode: int, says: str) -> None:
    """A folder, a folder above it, a file, and Python's compiled code beside it: each is named, with what to do."""
    (folder / "__pycache__").mkdir()
    if mode == 0o770:
        os.chown(folder / place, -1, 12345)
    (folder / place).chmod(mode)
    status = await load(folder)
    assert status.state == "refused"
    assert f"{says} {(folder / place).resolve()}: take that right away (chmod" in str(status.error)


async def test_every_file_of_a_package_counts(tmp_path: Path) -> None:
    """A package is refused for any of its files."""
    write(tmp_path / "plugins", "pack/__init__.py")
    inner = write(tmp_path / "plugins", "pack/deep/inner.py")
    inner.chmod(0o666)
    status = await load(tmp_path / "plugins")
    assert status.state == "refused"
    assert str(inner) in str(status.error)


@as_root
@pytest.mark.parametrize("place", ["", "acme.py"])
async def test_what_belongs_to_another_user_is_refused(folder: Path, place: str) -> None:
    """The owner may change a file whatever its mode says."""
    os.chown(folder / place, 12345, -1)
    status = await load(folder)
    assert status.state == "refused"
    assert "belongs to another user, number 12345: make it your own (chown)" in str(status.error)


async def test_a_link_is_as_safe_as_where_it_leads(folder: Path, tmp_path: Path) -> None:
    """A link to a safe file is followed, one through a folder of others is refused, and so is its target's folder."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "linked.py").symlink_to("../a/plugins/acme.py")
    assert (await load(tmp_path / "links")).loaded
    os.chmod(folder, 0o777)
    status = await load(tmp_path / "links")
    assert status.state == "refused"
    assert str(folder) in str(status.error)


async def test_a_linked_folder_is_taken(folder: Path, tmp_path: Path) -> None:
    """The folder itself may be a link, where nobody else can put another in its place."""
    (tmp_path / "link").symlink_to(folder)
    assert (await load(tmp_path / "link")).loaded
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "link").symlink_to(folder)
    assert (await load(tmp_path / "open" / "link")).state == "refused"


async def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    """A dangling link and a loop of links are listed as broken."""
    (tmp_path / "gone.py").symlink_to("nothing.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    manager = PluginManager([tmp_path])
    assert {status.name: status.state for status in manager.list_plugins()} == {"gone": "broken", "loop": "broken"}


async def test_a_right_that_is_given_away_later_counts_at_the_import(folder: Path) -> None:
    """What was safe when it was found is looked at again before it is imported."""
    manager = PluginManager([folder])
    assert [status.state for status in manager.list_plugins()] == ["found"]
    (folder / "acme.py").chmod(0o666)
    assert manager.get_plugin_for_model(ACME) is None
    assert [status.state for status in manager.list_plugins()] == ["refused"]
