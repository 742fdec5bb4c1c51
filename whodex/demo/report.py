"""What the demo prints: who was found in which scenes and when, beside the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from whodex.demo.cast import Member
from whodex.demo.comparison import Row
from whodex.demo.truth import Interval, Presence


def people_table(title: str, people: Iterable[tuple[Member, Sequence[Row]]], threshold: float) -> Table:
    """One line for each person and scene.

    Args:
        title: of the table.
        people: with what is true and what was found.
        threshold: the similarity from which a face counts as a person's.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Person")
    table.add_column("Scene")
    table.add_column("In the picture", justify="right")
    table.add_column("Found", justify="right")
    table.add_column(f"Similarity (≥ {threshold:.3f})", justify="right")
    table.add_column("")
    for member, rows in people:
        for number, row in enumerate(rows):
            table.add_row(member.display_name if number == 0 else "", *_cells(row))
        if not rows:
            table.add_row(member.display_name, "none", "never", "nowhere", "", _verdict(""))
        table.add_section()
    return table


def identification_table(
    pictures: Mapping[str, tuple[Sequence[tuple[str | None, float]], str]], names: Mapping[str, str]
) -> Table:
    """One line for each picture.

    Args:
        pictures: by file name, what was said of its faces, the largest first, and what is wrong with that.
        names: the people's names by their keys.
    """
    table = Table(title="Identified", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Picture")
    table.add_column("Faces, the largest first")
    table.add_column("")
    for picture, (faces, problem) in pictures.items():
        said = [f"{names[key] if key else 'UNKNOWN'} {similarity:.2f}" for key, similarity in faces]
        table.add_row(picture, ", ".join(said), _verdict(problem))
    return table


def conclusion(problems: Sequence[str]) -> Group:
    """The last lines."""
    if not problems:
        return Group(Text("All that was found matches the truth.", style="bold green"))
    return Group(*(Text(f"✗ {problem}", style="bold red") for problem in problems))


def times(span: Interval) -> str:
    """From when to when, to a tenth of a second."""
    return f"{span.start_s:4.1f} - {span.end_s:4.1f} s"


def _cells(row: Row) -> tuple[str | Text, ...]:
    return (
        f"{row.scene_index:2} {row.scene.title}",
        _presence(row.truth),
        "\n".join(times(match.seen) for match in row.matches) or "no",
        "\n".join(f"{match.similarity:.3f}" for match in row.matches),
        _verdict(row.problem),
    )


def _presence(truth: Presence | None) -> Text:
    if truth is None:
        return Text("no")
    whole = Text(times(truth.whole))
    return whole if truth.part == truth.whole else whole.append(f"\npartly {times(truth.part)}", style="dim")


def _verdict(problem: str) -> Text:
    return Text(f"✗ {problem}", style="red") if problem else Text("✓", style="green")
