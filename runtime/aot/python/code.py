# ---- Coding items -----------------------------------------------------------------------------------------


def codes(level: int) -> int:
    """{doc codes}"""
    return _load(None).codes(_whole("level", level, 0, 2**31 - 1))


class Model(_Model):
    __doc__ = _Model.__doc__

    def encode(self, features: Array) -> Array:
        """{doc encode} f32[n, FEATURES] to i32[n, LEVELS]."""
        held = self._open()
        given = _given("features", features, "f32", (None, FEATURES))
        taken = _Taken("i32", (given.shape[0], LEVELS))
        if given.shape[0]:
            held.call("encode", given.shape[0], given.address, taken.address)
        return taken.value()

    def decode(self, codes: Array) -> Array:
        """{doc decode} i32[n, LEVELS] to f32[n, FEATURES]."""
        held = self._open()
        given = _given("codes", codes, "i32", (None, LEVELS))
        taken = _Taken("f32", (given.shape[0], FEATURES))
        if given.shape[0]:
            held.call("decode", given.shape[0], given.address, taken.address)
        return taken.value()
