"""An object that stands in for whatever a piece of code needs: every use works, and what matters is written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class StandIn:
    """Named by how it was reached (`self.rows[0]`). Truth and length agree; two are equal if they have one name.

    Calls and changes go to the trace, which is what two versions of a piece of code are compared by. Depth is bounded,
    so that no chain of uses goes on for ever.
    """

    def __init__(self, name: str, size: int, trace: list[str]) -> None:
        self.__dict__.update(_name=name, _size=size, _trace=trace)

    def _reach(self, name: str) -> StandIn:
        if len(name) > 400:
            raise RecursionError
        return StandIn(name, self._size, self._trace)

    def __getattr__(self, name: str) -> StandIn:
        return self._reach(f"{self._name}.{name}")

    def __getitem__(self, key: Any) -> StandIn:
        return self._reach(f"{self._name}[{key!r}]")

    def __call__(self, *args: Any, **kwargs: Any) -> StandIn:
        call = f"{self._name}({', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])})"
        self._trace.append(call)
        return self._reach(call)

    def __setattr__(self, name: str, value: Any) -> None:
        self._trace.append(f"{self._name}.{name} = {value!r}")

    def __setitem__(self, key: Any, value: Any) -> None:
        self._trace.append(f"{self._name}[{key!r}] = {value!r}")

    def __delitem__(self, key: Any) -> None:
        self._trace.append(f"del {self._name}[{key!r}]")

    def __iter__(self) -> Iterator[StandIn]:
        return (self[i] for i in range(self._size))

    def keys(self) -> list[StandIn]:
        return list(self)

    def items(self) -> list[tuple[StandIn, StandIn]]:
        return [(key, self[key]) for key in self]

    def __len__(self) -> int:
        size: int = self._size
        return size

    def __bool__(self) -> bool:
        return self._size > 0

    def __contains__(self, item: Any) -> bool:
        return (len(repr(item)) + len(self._name) + self._size) % 2 == 0

    def __repr__(self) -> str:
        return f"<{self._name}>"

    def __format__(self, spec: str) -> str:
        return f"<{self._name}>"

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StandIn) and other._name == self._name

    def __lt__(self, other: Any) -> bool:
        return repr(self) < repr(other)

    def __le__(self, other: Any) -> bool:
        return repr(self) <= repr(other)

    def __gt__(self, other: Any) -> bool:
        return repr(self) > repr(other)

    def __ge__(self, other: Any) -> bool:
        return repr(self) >= repr(other)

    def __add__(self, other: Any) -> StandIn:
        return self._reach(f"({self._name} + {other!r})")

    def __radd__(self, other: Any) -> StandIn:
        return self._reach(f"({other!r} + {self._name})")

    def __sub__(self, other: Any) -> StandIn:
        return self._reach(f"({self._name} - {other!r})")

    def __mul__(self, other: Any) -> StandIn:
        return self._reach(f"({self._name} * {other!r})")

    def __index__(self) -> int:
        size: int = self._size
        return size

    def __enter__(self) -> StandIn:
        self._trace.append(f"enter {self._name}")
        return self

    def __exit__(self, *error: object) -> None:
        self._trace.append(f"leave {self._name}")
