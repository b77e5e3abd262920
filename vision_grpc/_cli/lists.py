"""Lists of inputs, as the command line reads them: text, JSON Lines or CSV, a line at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import chain
from typing import TextIO

from vision_grpc._cli.inputs import check_object, is_picture
from vision_grpc.errors import ConfigError


def read_list(place: str, column: str | None) -> Iterator[str]:
    """The inputs listed in a file, or in standard input for "-", as they are read: one a line, or a column of JSON Lines or CSV.

    A file is CSV by its name's ending (.csv) or where a column is named and the first line is no JSON object; it is JSON Lines where
    its first line is an object. Lines that are empty, or whose column is, are passed over.

    Raises:
        ConfigError: It cannot be read, a line has no such column, or names what is no picture; the sentence names the line.
    """
    where = f"--uris-from {place}"
    try:
        with open(0 if place == "-" else place, encoding="utf-8-sig", newline="", closefd=place != "-") as file:
            for number, value in _values(file, place, column or "uri", where, named=column is not None):
                if value:
                    _check_listed(value, f"{where}, line {number}")
                    yield value
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} cannot be read: it is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror}") from error


def _check_listed(value: str, where: str) -> None:
    if value.startswith("gs://"):
        check_object(value, where)
        return
    try:
        is_picture(value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _values(file: TextIO, place: str, key: str, where: str, *, named: bool) -> Iterator[tuple[int, str]]:
    """The values listed, each with the number of its line."""
    filled = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    first = next(filled, None)
    if first is None:
        raise ConfigError(f"{where} is empty: it should name images, one a line")
    lines = chain([first], filled)
    if first[1].lstrip().startswith("{"):
        for number, line in lines:
            yield number, _json_value(line, key, f"{where}, line {number}")
    elif place.endswith(".csv") or named:
        number = 0

        def told() -> Iterator[str]:
            nonlocal number
            for number, line in lines:  # noqa: B007 - it is the line that the reader below has come to
                yield line

        table = csv.DictReader(told())
        try:
            if key not in (table.fieldnames or ()):
                columns = ", ".join(table.fieldnames or ())
                raise ConfigError(f"{where} has no column {key!r}; it has {columns}: name one with --uri-column")
            for row in table:
                yield number, (row[key] or "").strip()
        except csv.Error as error:
            raise ConfigError(f"{where}, line {number} is not CSV: {error}") from error
    else:
        for number, line in lines:
            yield number, line.strip()


def _json_value(line: str, key: str, where: str) -> str:
    try:
        value = json.loads(line)[key]
    except ValueError as error:
        raise ConfigError(f"{where} is not a JSON object: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} is not a JSON object: it is nested too deeply") from error
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{where} has no {key!r}: name the right one with --uri-column") from error
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key!r} is not a string")
    return value
