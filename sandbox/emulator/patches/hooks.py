"""How patches are registered, and how they hook into ministack's modules."""

# ministack is untyped, and its handlers accept whatever their service's protocol delivers: hence `Any` in all patches.
from collections.abc import Callable
from typing import Any

Handler = Callable[..., Any]
GAPS: list[Callable[[], None]] = []


def gap(function: Callable[[], None]) -> Callable[[], None]:
    """Register a function that closes a gap. Functions run in the order in which they are registered."""
    GAPS.append(function)
    return function


def wrap(module: Any, name: str, wrapper: Handler) -> None:
    """Replace `module.name` with `wrapper(original, *arguments)`, in the module's tables of actions too."""
    original = getattr(module, name)

    def replacement(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    setattr(module, name, replacement)
    for actions in [table for table in vars(module).values() if isinstance(table, dict)]:
        for action, handler in list(actions.items()):
            if handler is original:
                actions[action] = replacement


def persist(module: Any, name: str, store: Any) -> None:
    """Include a store in what a service's module saves, loads and resets. name: its key in the saved state."""

    def get_state(original: Handler) -> Any:
        return {**original(), name: store}

    def load(original: Handler, state: Any) -> Any:
        content = state.pop(name, None)
        if content is not None:
            store._data.update(getattr(content, "_data", content))
        return original(state)

    def reset(original: Handler) -> Any:
        store._data.clear()
        return original()

    wrap(module, "get_state", get_state)
    wrap(module, "load_persisted_state", load)
    wrap(module, "reset", reset)
