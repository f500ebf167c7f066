# ---- Running ----------------------------------------------------------------------------------------------


class _Port(NamedTuple):
    """An input or output: its field in C, its argument here, and its type, with None for the number of samples."""

    field: str
    name: str
    kind: str
    shape: Tuple[Optional[int], ...]


_INPUTS: Tuple[_Port, ...] = (
    # { fields inputs
    _Port("x", "x", "f32", (None, 128)),
    # } fields inputs
)

_OUTPUTS: Tuple[_Port, ...] = (
    # { fields outputs
    _Port("y", "y", "f32", (None, 4)),
    # } fields outputs
)

# { training
_EXAMPLES: Tuple[_Port, ...] = (
    # { fields examples
    _Port("x", "x", "f32", (None, 128)),
    # } fields examples
)


# } training
def _fields(struct: Any, ports: Sequence[_Port], values: Sequence[Any], n: Optional[int]) -> Tuple[Any, int, Any]:
    """The struct of the values, the number of samples, and what owns the numbers."""
    fields, keep = struct(), []
    for port, value in zip(ports, values):
        samples = bool(port.shape) and port.shape[0] is None
        given = _given(port.name, value, port.kind, (n if samples else port.shape[0],) + port.shape[1:] if port.shape else ())
        if samples:
            n = given.shape[0]
        setattr(fields, port.field, given.address)
        keep.append(given)
    return fields, 1 if n is None else n, keep


class Outputs(NamedTuple):
    """What the model gives: row-major, n samples one after the other where n is an extent."""

    # { fields results
    y: Array  # f32[n, 4]
    # } fields results


class Model(_Model):
    __doc__ = _Model.__doc__

    def run(
        self,
        # { fields arguments
        x: Array,  # f32[n, 128]
        # } fields arguments
        *,
        n: Optional[int] = None,
    ) -> Outputs:
        """{doc run}

        {doc inputs}
        `n` is only wanted where no input says how many samples there are; it is 1 then.
        """
        return self._run(
            (
                # { fields values
                x,
                # } fields values
            ),
            n,
        )

    def _run(self, values: Sequence[Any], n: Optional[int]) -> Outputs:
        held = self._open()
        n = None if n is None else _whole("n", n, 0, MAX_BATCH)
        inputs, n, keep = _fields(_Inputs, _INPUTS, values, n)
        taken = [_Taken(port.kind, [n if extent is None else extent for extent in port.shape]) for port in _OUTPUTS]
        outputs = _Outputs()
        for port, room in zip(_OUTPUTS, taken):
            setattr(outputs, port.field, room.address)
        held.call("run", n, ctypes.byref(inputs), ctypes.byref(outputs))
        return Outputs(*[room.value() for room in taken])


# { training
class State(_State):
    __doc__ = _State.__doc__

    def step(
        self,
        # { fields example arguments
        x: Array,  # f32[n, 128]
        # } fields example arguments
        *,
        seed: int,
        step: int,
    ) -> float:
        """{doc step}

        Returns the loss.
        """
        return self._train(
            "step",
            (
                # { fields example values
                x,
                # } fields example values
            ),
            *_moment(seed, step),
        )

    def loss(
        self,
        # { fields example arguments
        x: Array,  # f32[n, 128]
        # } fields example arguments
    ) -> float:
        """{doc loss}"""
        return self._train(
            "loss",
            (
                # { fields example values
                x,
                # } fields example values
            ),
        )

    def _train(self, name: str, values: Sequence[Any], *moment: int) -> float:
        loss = ctypes.c_float()
        examples, n, keep = _fields(_Examples, _EXAMPLES, values, None)
        with self._alone() as held:
            held.call_with(name, self._owned.address, n, ctypes.byref(examples), *moment, ctypes.byref(loss))
        return loss.value


# } training
