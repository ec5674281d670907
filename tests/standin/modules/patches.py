"""Replacing a function, and putting it back."""

originals = {}


def patch(key, obj, field, replacement):
    if (key, obj, field) in originals:
        raise RuntimeError(f"patch for {field} is already applied")
    originals[key, obj, field] = getattr(obj, field)
    setattr(obj, field, replacement)
    return originals[key, obj, field]


def undo(key, obj, field):
    setattr(obj, field, originals.pop((key, obj, field)))


def original(key, obj, field):
    return originals.get((key, obj, field))
