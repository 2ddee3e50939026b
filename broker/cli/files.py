"""The files of an ownership map as commands find them, and write them."""

from pathlib import Path

from broker.settings import Settings


def settings_of(folder: Path | None) -> Settings:
    """The settings, with the map in a folder where a command was given one."""
    settings = Settings()
    return settings.model_copy(update={"map_dir": folder}) if folder else settings


def write(path: Path, text: str) -> None:
    """Put a text in the place of a file, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, "utf-8")
    beside.replace(path)
