"""Values as `dataclasses` makes them, without what that costs at each start: see docs/decisions/0020-dataclasses-of-our-own.md.

`dataclass`, `field` and `replace` take a part of what the standard library's take and mean the same. What a class compares and shows
is made when it is defined. Its `__init__` is compiled once there are twenty values: of most classes that a command
loads it makes fewer. No inheritance among dataclasses, no `super()` in them.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar, cast, dataclass_transform, overload

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_NOTHING: Final = object()
_FEW: Final = 20
"""Values of a class that are made field by field: each takes a few microseconds more, and to compile takes a hundred."""


class _Field:
    __slots__ = ("compare", "default", "factory", "repr")

    def __init__(self, default: object, factory: Callable[[], object] | None, *, shown: bool, compare: bool) -> None:
        self.default = default
        self.factory = factory
        self.repr = shown
        self.compare = compare

    @property
    def needed(self) -> bool:
        return self.default is _NOTHING and self.factory is None

    def usual(self) -> object:
        return self.default if self.factory is None else self.factory()


@overload
def field(*, default: _T, repr: bool = True, compare: bool = True) -> _T: ...
@overload
def field(*, default_factory: Callable[[], _T], repr: bool = True, compare: bool = True) -> _T: ...
@overload
def field(*, repr: bool = True, compare: bool = True) -> Any: ...  # pyright: ignore[reportExplicitAny]
def field(
    *,
    default: object = _NOTHING,
    default_factory: Callable[[], object] | None = None,
    repr: bool = True,  # noqa: A002  # as the standard library calls it
    compare: bool = True,
) -> object:
    """A field that is not shown, not compared, or whose default is made for each value."""
    return _Field(default, default_factory, shown=repr, compare=compare)


@dataclass_transform(field_specifiers=(field,))
def dataclass(*, slots: Literal[True], frozen: bool = False) -> Callable[[type[_T]], type[_T]]:
    """A class with slots, whose fields are its annotations. A frozen one is hashable and refuses to be altered with AttributeError."""
    del slots

    def decorate(cls: type[_T]) -> type[_T]:
        body = dict(vars(cls))
        for name in ("__dict__", "__weakref__"):
            _ = body.pop(name, None)
        fields = {name: _field(body.pop(name, _NOTHING)) for name in cls.__annotations__}
        names = tuple(fields)
        key = _key([name for name, each in fields.items() if each.compare])
        left = _FEW

        def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
            nonlocal left
            left -= 1
            given = dict(zip(names, args, strict=False)) | kwargs
            if left < 0 or len(given) != len(args) + len(kwargs) or not _fit(given, fields):
                # It also says what is wrong with arguments.
                new.__init__ = _initializer(new, fields, frozen=frozen)
                new.__init__(self, *args, **kwargs)
                return
            for name, each in fields.items():
                getattr(new, name).__set__(self, given[name] if name in given else each.usual())

        def __eq__(self: object, other: object) -> bool:  # noqa: N807
            return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

        def __hash__(self: object) -> int:  # noqa: N807
            return hash(key(self))

        def __repr__(self: object) -> str:  # noqa: N807
            shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, each in fields.items() if each.repr)
            return f"{type(self).__qualname__}({shown})"

        methods: dict[str, object] = {"__init__": __init__, "__eq__": __eq__, "__repr__": __repr__}
        methods |= (
            {"__hash__": __hash__, "__setattr__": _refuse, "__delattr__": _refuse} if frozen else {"__hash__": None}
        )
        own = {"__qualname__": cls.__qualname__, "__slots__": names, "__match_args__": names}
        new = type(cls)(cls.__name__, cls.__bases__, methods | body | own)
        return new

    return decorate


def replace(value: _T, /, **changes: object) -> _T:
    """A copy with other values in some fields."""
    names = cast("tuple[str, ...]", type(value).__match_args__)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    return type(value)(**{name: getattr(value, name) for name in names} | changes)


def _field(given: object) -> _Field:
    return given if isinstance(given, _Field) else _Field(given, None, shown=True, compare=True)


def _refuse(self: object, name: str, value: object = None) -> NoReturn:
    del value
    raise AttributeError(f"{type(self).__name__}.{name} cannot be altered")


def _key(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _fit(given: dict[str, object], fields: dict[str, _Field]) -> bool:
    return given.keys() <= fields.keys() and all(name in given or not each.needed for name, each in fields.items())


def _initializer(cls: type, fields: dict[str, _Field], *, frozen: bool) -> Callable[..., None]:
    known: dict[str, object] = {"NOTHING": _NOTHING}
    parameters: list[str] = []
    lines: list[str] = []
    for name, each in fields.items():
        value, default = name, ""
        if each.factory is not None:
            known[f"make_{name}"] = each.factory
            value, default = f"make_{name}() if {name} is NOTHING else {name}", "=NOTHING"
        elif each.default is not _NOTHING:
            known[f"default_{name}"] = each.default
            default = f"=default_{name}"
        parameters.append(name + default)
        if frozen:
            # By the slot itself, which is faster than `object.__setattr__`.
            known[f"set_{name}"] = getattr(cls, name).__set__
            lines.append(f"    set_{name}(self, {value})")
        else:
            lines.append(f"    self.{name} = {value}")
    exec("\n".join([f"def __init__(self, {', '.join(parameters)}):", *lines]), known)  # noqa: S102  # of names of our own
    return cast("Callable[..., None]", known["__init__"])
