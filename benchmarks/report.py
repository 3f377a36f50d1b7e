"""Tables on standard output."""

from collections.abc import Sequence

MEGABYTE = 1e6


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under heads, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (heads, ["-" * width for width in widths], *rows):
        first, *others = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]).rstrip())
    print(flush=True)


def print_target(what: str, reached: float, target: float, *, at_most: bool = False) -> None:
    """Say whether a target was reached."""
    met = reached <= target if at_most else reached >= target
    print(f"{'reached' if met else 'MISSED '}: {what}: {_number(reached)}, wanted {'≤' if at_most else '≥'} {target:,}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
