import types

samplers = [types.SimpleNamespace(name=name) for name in ("DPM++ 2M", "Euler a", "DDIM")]
