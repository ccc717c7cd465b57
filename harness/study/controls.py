"""`controls: all`: the arms that the methods of a study are held against, as if they had been written."""

import dataclasses

from harness import registry
from harness.study.making import make_method
from harness.study.schema import Method, Study


def registered_name(method: Method) -> str:
    """The name that an entry's method is registered under."""
    return method.method or method.name


def needed_by(method: Method) -> tuple[str, ...]:
    """Registered names of the controls that a claim for an entry's method needs. Raises ValueError."""
    return () if method.of is not None else tuple(make_method(method).controls)


def with_controls(study: Study) -> Study:
    """The study with an entry for each control that its methods name, behind the method; those that are
    written already are let be. Options that a control shares with its method are those of the method.

    Raises:
        ValueError: for a method that cannot be made, or names a control that is none.
    """
    if study.controls is None:
        return study
    written = {(registered_name(method), method.origin_method) for method in study.trained_methods}
    entries: list[Method] = []
    for method in study.methods:
        entries.append(method)
        if method.replay_of is not None:
            continue
        for control in needed_by(method):
            if (control, method.name) not in written:
                entries.append(_entry(control, method))
    return study.model_copy(update={"methods": entries})


def _entry(control: str, method: Method) -> Method:
    shared = registry.method_options(control)
    options = {name: value for name, value in method.options.items() if name in shared}
    # What the method does unless told otherwise, and the control does not.
    theirs, own = make_method(method), registry.load("methods", control)
    for field in dataclasses.fields(own) if dataclasses.is_dataclass(own) else ():
        value = getattr(theirs, field.name, dataclasses.MISSING)
        if field.name not in options and dataclasses.MISSING not in (value, field.default):
            options |= {field.name: value} if value != field.default else {}
    return Method(name=f"{method.name}-{control}", method=control, options=options, of=method.name)
