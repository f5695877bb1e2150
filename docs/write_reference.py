"""Writes docs/reference/ and docs/topology.schema.json from the options and models themselves.

    python docs/write_reference.py

A test compares what is committed with what this makes, so the reference cannot lie.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from motel_locust.commands import main
from motel_locust.commands.console import Command
from motel_locust.load.options import OPTIONS
from motel_locust.otlp.settings import COMPRESSIONS, PROTOCOLS, SETTINGS, Flags
from motel_locust.topology import patterns
from motel_locust.topology.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DOCS: Final = Path(__file__).parent
NOTE: Final = "<!-- Written by docs/write_reference.py; change what it is made from instead. -->"


def pages() -> dict[Path, str]:
    """Return the content of every page by its path."""
    return {
        DOCS / "reference" / "commands.md": page("Commands", commands()),
        DOCS / "reference" / "locust-options.md": page("Options of a run", locust_options()),
        DOCS / "reference" / "otlp.md": page("Where telemetry goes", otlp_settings()),
        DOCS / "reference" / "topology.md": page("Keys of a topology", topology()),
        DOCS / "topology.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False)
        + "\n",
    }


def page(title: str, lines: Iterable[str]) -> str:
    """Return a page of Markdown."""
    return "\n".join([f"# {title}", "", NOTE, "", *lines, ""])


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table of Markdown, whose cells are one line each."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


# --- the commands ---


def commands() -> Iterator[str]:
    """Yield what every command is, with its options and examples."""
    context = click.Context(main, info_name="motel-locust")
    yield (
        "`motel-locust COMMAND`. The result goes to standard output: a table on a terminal, aligned"
        " text in a pipe, JSON with `--json`. All else goes to standard error. Status 0: good."
        " 1: the verdict is bad. 2: wrong usage or input."
    )
    yield from (
        "",
        "For completion in a shell, put this in its start file; `zsh_source` and `fish_source` do"
        " it for others:",
        "",
        "```sh",
        'eval "$(_MOTEL_LOCUST_COMPLETE=bash_source motel-locust)"',
        "```",
    )
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert isinstance(command, Command)
        yield from ("", f"## motel-locust {name}", "", *described(command), "")
        usage = command.get_usage(click.Context(command, context, info_name=name))
        yield from ("```", " ".join(usage.split()).removeprefix("Usage: "), "```", "")
        rows = [row for parameter in command.params if (row := option_row(parameter))]
        yield from table(("option", "value", "default", "meaning"), rows)
        yield from ("", "```sh", *(example.strip() for example in command.examples), "```")


def described(command: click.Command) -> Iterator[str]:
    """Yield the paragraphs of a command's help."""
    for place, paragraph in enumerate((command.help or "").split("\n\n")):
        yield from ([""] if place else [])
        yield " ".join(paragraph.split())


def option_row(parameter: click.Parameter) -> tuple[str, str, str, str] | None:
    """Return the row of an option; None for an argument and what is hidden."""
    if not isinstance(parameter, click.Option) or parameter.hidden:
        return None
    flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
    if parameter.is_flag:
        value = ""
    elif parameter.metavar:
        value = f"`{parameter.metavar}`"
    elif isinstance(parameter.type, click.Choice):
        value = ", ".join(f"`{word}`" for word in parameter.type.choices)
    else:
        value = parameter.type.name
    meaning, _, in_words = (parameter.help or "").partition("  [default: ")
    default = in_words.rstrip("]")
    if parameter.required:
        default = "required"
    elif not default and parameter.show_default and parameter.default is not None:
        default = f"`{parameter.default}`"
    return flags, value, default, meaning


# --- the options of a run ---


def locust_options() -> Iterator[str]:
    """Yield the options that the locustfiles add to Locust's own."""
    yield (
        "For `locust -f locustfiles/topology.py` and every locustfile with a `TopologyUser`. Each"
        " is a flag, an environment variable, and a key of `locust.conf` (the flag without `--`);"
        " those marked *form* are fields of the web UI's start form. The endpoint is Locust's own"
        " `--host`, or `LOCUST_HOST`."
    )
    yield ""
    yield from table(
        ("option", "value", "variable", "default", "form", "meaning"),
        (
            (
                f"`{option.flag}`",
                ", ".join(f"`{word}`" for word in option.choices if word)
                or (f"`{option.metavar}`" if option.metavar else "")
                or ("" if option.parse is None else "text"),
                f"`{option.variable}`",
                "" if option.default in ("", None, False) else f"`{option.default}`",
                "form" if option.in_form else "",
                option.help,
            )
            for option in OPTIONS
        ),
    )


def otlp_settings() -> Iterator[str]:
    """Yield where each setting of OTLP is looked for."""
    yield (
        "Each setting is resolved on its own, for each signal: flag, variable of the signal,"
        " general variable, default. The first that says something replaces the others whole. A"
        " variable that is blank says nothing; a flag that is given is final, even if empty."
        " `motel-locust doctor` shows what they come to, and who said so."
    )
    yield ""
    command, locust = Flags(style="command"), Flags(style="locust")
    defaults = {
        "endpoint": "`localhost`, port 4318, or 4317 for gRPC",
        "protocol": f"`{PROTOCOLS[0]}`",
        "timeout": "`10s`; a bare number in a variable is milliseconds",
        "compression": f"`{COMPRESSIONS[0]}`",
    }
    yield from table(
        ("setting", "commands", "Locust", "variables", "default"),
        (
            (
                setting.replace("_", " "),
                f"`{command.name(setting)}`",
                f"`{locust.name(setting)}`",
                f"`OTEL_EXPORTER_OTLP_TRACES_{setting.upper()}` (or `METRICS`, `LOGS`),"
                f" `OTEL_EXPORTER_OTLP_{setting.upper()}`",
                defaults.get(setting, ""),
            )
            for setting in SETTINGS
        ),
    )


# --- the topology ---

KINDS: Final = {
    patterns.DURATION["pattern"]: "duration",
    patterns.DELAY["pattern"]: "duration, not negative",
    patterns.PERIOD["pattern"]: "duration above 0",
    patterns.OFFSET["pattern"]: "offset",
    patterns.SHARE["pattern"]: "share",
    patterns.RATE["pattern"]: "rate",
    patterns.DURATION_DISTRIBUTION["pattern"]: "distribution",
    patterns.NUMBER_DISTRIBUTION["pattern"]: "number distribution",
    patterns.REF["pattern"]: "ref",
    patterns.FLAG["pattern"]: "flag",
}


def topology() -> Iterator[str]:
    """Yield every key of the language, part by part."""
    schema = json_schema()
    yield (
        "What may be written, key by key; [the guide to the language](../topology.md) tells what it"
        " does, and how values such as durations and shares are written. The same as JSON Schema,"
        " for editors: [topology.schema.json](../topology.schema.json)."
    )
    yield from part("Topology", schema)
    for name, definition in sorted(schema["definitions"].items()):
        yield from part(name, definition)


def part(name: str, definition: dict[str, Any]) -> Iterator[str]:
    """Yield the keys of one mapping."""
    # A part that a bare value may stand for: that value, or the mapping.
    mapping = definition if "properties" in definition else definition["anyOf"][-1]
    yield from ("", f"## {name}", "", definition["description"], "")
    required = mapping.get("required", ())
    yield from table(
        ("key", "value", "default", "meaning"),
        (
            (
                f"`{key}`",
                kind(value),
                "required" if key in required else default(value),
                value.get("description", ""),
            )
            for key, value in mapping["properties"].items()
        ),
    )


def default(value: dict[str, Any]) -> str:
    """Return the default of a key as it would be written."""
    if "default" not in value:
        return ""
    written = value["default"]
    return f"`{json.dumps(written).strip(chr(34))}`" if written != "" else ""


def kind(value: dict[str, Any]) -> str:
    """Return in words what may be written."""
    types = value.get("type", [])
    types = [each for each in ([types] if isinstance(types, str) else types) if each != "null"]
    match value:
        case {"$ref": ref}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"const": const}:
            return f"`{const}`"
        case {"enum": words}:
            return ", ".join(f"`{word}`" for word in words if word is not None)
        case {"pattern": pattern}:
            found = KINDS.get(pattern) or KINDS.get(pattern.removesuffix("?$") + "$")
            return found or "text"
        case {"properties": {"p50": _}}:
            return "[percentiles](../topology.md#percentiles)"
        case {"anyOf": options}:
            kinds = [kind(option) for option in options if option != {"type": "null"}]
            return " or ".join(dict.fromkeys(filter(None, kinds))) or "any"
    if types == ["object"]:
        inner = value.get("additionalProperties")
        return f"name → {kind(inner)}" if inner else "a mapping"
    if types == ["array"]:
        return f"list of {kind(value['items'])}"
    if types in (["integer"], ["number"]):
        return bounded({"integer": "whole number", "number": "number"}[types[0]], value)
    return "text" if "string" in types else "any"


def bounded(noun: str, value: dict[str, Any]) -> str:
    """Return *noun* with the limits that a person would want to know."""
    least, greatest = value.get("minimum"), value.get("maximum")
    if "exclusiveMinimum" in value:
        return f"{noun} above {value['exclusiveMinimum']}"
    if least is not None and greatest is not None and greatest < 2**62:
        return f"{noun}, {least} to {greatest}"
    return f"{noun}, at least {least}" if least is not None and least > -(2**62) else noun


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")
