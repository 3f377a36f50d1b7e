"""How long a regex may take: Python's backtracks, and clients choose the texts that rules look at.

Strategy: what Python parsed becomes an automaton of positions (Glushkov's): one for each character or set, and from
each the edges to those that may follow it, with the characters they take. A search that backtracks goes at worst all
ways there are through it, so it is the ways with the same text that count (Weber and Seidl, On the degree of ambiguity
of finite automata, 1991). Two ways from a position back to itself double with each round: exponential. Two loops that
take the same text, and the way from the one to the other as well, are a factor of the text's length: a pair. One pair,
as in `.*foo.*bar`, is quadratic; two are cubic. What is counted too high, never too low, is what makes no difference to
what people write: back references, anchors, and atomic groups of more than one repeated set. A .* at the end counts
nothing, for a search ends there; nor do /.*/.* before it, for with three / it ends.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import product

from haproxy_log_exporter.labels.positions import CHARACTERS, Automaton, TooSlowError, read_automaton

__all__ = ["Cost", "TooSlowError", "find_cost"]

# Of a regex that is given up as too large: positions in pairs and triples that are looked at.
_MOST_WORK = 300_000
# Ways through what does not loop, by texts of so many characters.
_MOST_WAYS = 10_000
_SAMPLE = 128

_Group = tuple[int, ...]


class Cost(Enum):
    """How the steps of a search grow with the text."""

    LINEAR = "linear"
    QUADRATIC = "quadratic"


class _Budget:
    """Ends what takes too long to be found out."""

    def __init__(self) -> None:
        self._left = _MOST_WORK

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            message = "it is too large to be told that it does not"
            raise TooSlowError(message)


def find_cost(text: str, flags: int) -> Cost:
    """Tell how a regex's steps grow; where this Python does not tell how it parsed it, it passes as linear.

    Raises:
        TooSlowError: where they may be more than the square of the text's length.
        RecursionError: where the regex is nested too deeply.
    """
    automaton = read_automaton(text, flags)
    if automaton is None:
        return Cost.LINEAR
    budget = _Budget()
    loops = _find_loops(automaton)
    if any(_is_exponential(automaton, loop, budget) for loop in loops):
        raise TooSlowError(_tell_why(automaton))
    pairs = _count_pairs(automaton, loops, budget)
    if pairs > 1:
        message = "three or more of its repeats fit the same text; write [^/]* where .* needs no /"
        raise TooSlowError(message)
    if _has_many_ways(automaton):
        message = "too many of its optional parts fit the same text"
        raise TooSlowError(message)
    return Cost.QUADRATIC if pairs else Cost.LINEAR


def _tell_why(automaton: Automaton) -> str:
    if automaton.is_nested:
        return "a repeat within a repeat; write (?>a+)+ or a++ (possessive)"
    return "alternatives within a repeat fit the same text; write them so that only one does"


def _find_loops(automaton: Automaton) -> list[_Group]:
    """Give the strongly connected components with an edge inside, each after all that lead to it (Tarjan)."""
    edges = automaton.edges
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[_Group] = []
    for root in range(len(edges)):
        if root in index:
            continue
        visits: list[tuple[int, Iterator[int]]] = [(root, iter([to for to, _ in edges[root]]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while visits:
            at, following = visits[-1]
            for to in following:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on_stack.add(to)
                    visits.append((to, iter([after for after, _ in edges[to]])))
                    break
                if to in on_stack:
                    low[at] = min(low[at], index[to])
            else:
                visits.pop()
                if visits:
                    low[visits[-1][0]] = min(low[visits[-1][0]], low[at])
                if low[at] == index[at]:
                    start = stack.index(at)
                    group = tuple(stack[start:])
                    del stack[start:]
                    on_stack.difference_update(group)
                    if len(group) > 1 or any(to == at for to, _ in edges[at]):
                        found.append(group)
    return found[::-1]


def _is_exponential(automaton: Automaton, loop: _Group, budget: _Budget) -> bool:
    """Whether two ways with the same text lead from a position of the loop back to it."""
    inside = {at: [edge for edge in automaton.edges[at] if edge[0] in loop] for at in loop}
    forward = [(at, at) for at in loop]
    before: dict[tuple[int, int], list[tuple[int, int]]] = {}
    seen = set(forward)
    while forward:
        first, second = pair = forward.pop()
        for (i, (to, taken)), (j, (other, also)) in product(enumerate(inside[first]), enumerate(inside[second])):
            budget.spend()
            if not taken & also & CHARACTERS:
                continue
            if first == second and to == other and i != j:
                return True
            before.setdefault((to, other), []).append(pair)
            if (to, other) not in seen:
                seen.add((to, other))
                forward.append((to, other))
    backward = [(at, at) for at in loop]
    reached = set(backward)
    while backward:
        for pair in before.get(backward.pop(), ()):
            if pair not in reached:
                reached.add(pair)
                backward.append(pair)
    return any(first != second for first, second in reached)


def _count_pairs(automaton: Automaton, loops: Sequence[_Group], budget: _Budget) -> int:
    """Count the pairs of loops, one after the other, that can share a text in as many ways as it has characters."""
    after = [_find_reachable(automaton, loop) for loop in loops]
    most = [0] * len(loops)  # pairs that begin at a loop or after it
    for first in reversed(range(len(loops))):
        for second in range(first + 1, len(loops)):
            if loops[second][0] not in after[first]:
                continue
            most[first] = max(most[first], most[second])
            if most[second] + 1 > most[first] and any(
                _can_share(automaton, (one, other), (loops[first], loops[second]), budget)
                for one, other in product(loops[first], loops[second])
            ):
                most[first] = most[second] + 1
    return max(most, default=0)


def _find_reachable(automaton: Automaton, loop: _Group) -> set[int]:
    seen = set(loop)
    waiting = [*loop]
    while waiting:
        new = {to for to, _ in automaton.edges[waiting.pop()]} - seen
        seen |= new
        waiting += new
    return seen


def _can_share(automaton: Automaton, ends: tuple[int, int], loops: tuple[_Group, _Group], budget: _Budget) -> bool:
    """Whether one text leads from the one end to itself, from the one to the other, and from the other to itself."""
    first, second = ends
    edges = automaton.edges
    waiting = [(first, first, second)]
    seen = set(waiting)
    while waiting:
        left, middle, right = waiting.pop()
        for (to_left, a), (to_right, b) in product(edges[left], edges[right]):
            budget.spend()
            shared = a & b & CHARACTERS
            if not shared or to_left not in loops[0] or to_right not in loops[1]:
                continue
            for to_middle, c in edges[middle]:
                budget.spend()
                state = (to_left, to_middle, to_right)
                if shared & c and state not in seen:
                    if state == (first, second, second):
                        return True
                    seen.add(state)
                    waiting.append(state)
    return False


def _has_many_ways(automaton: Automaton) -> bool:
    """Whether a text that takes the most ways at each of its characters takes too many: a?a?a?a? has 16, for aaaa."""
    atoms = _find_atoms(automaton)
    left = _MOST_WORK
    starts = [{at: 1} for at, edges in enumerate(automaton.edges) if _splits(edges)]
    for ways in ({automaton.start: 1}, *starts):
        for _ in range(_SAMPLE):
            left -= sum(len(automaton.edges[at]) for at in ways) * len(atoms)
            if not ways or left < 0:
                break
            ways = max((_step(automaton, ways, atom) for atom in atoms), key=lambda each: sum(each.values()))  # noqa: PLW2901 -- one text's ways, a character after the other
            if sum(ways.values()) > _MOST_WAYS:
                return True
    return False


def _splits(edges: Sequence[tuple[int, int]]) -> bool:
    taken = 0
    for _, characters in edges:
        if taken & characters & CHARACTERS:
            return True
        taken |= characters
    return False


def _step(automaton: Automaton, ways: dict[int, int], atom: int) -> dict[int, int]:
    """Count the ways to each position by one more character."""
    result: dict[int, int] = {}
    for at, count in ways.items():
        for to, characters in automaton.edges[at]:
            if characters & atom:
                result[to] = result.get(to, 0) + count
    return result


def _find_atoms(automaton: Automaton) -> list[int]:
    """Give one character of each kind that the edges tell apart."""
    sets = sorted({characters & CHARACTERS for edges in automaton.edges for _, characters in edges})
    kinds = {tuple(each >> bit & 1 for each in sets): 1 << bit for bit in range(CHARACTERS.bit_length())}
    return [atom for kind, atom in kinds.items() if any(kind)] or [1]
