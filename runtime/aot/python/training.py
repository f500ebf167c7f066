# ---- Training ---------------------------------------------------------------------------------------------


class Tensor(NamedTuple):
    """One named tensor of a state, row-major."""

    name: str
    kind: str  # "f32"
    shape: Tuple[int, ...]
    trained: bool  # a parameter; otherwise the optimizer's
    data: Array


def _moment(seed: int, step: int) -> Tuple[int, int]:
    return _whole("seed", seed, 0, 2**64 - 1), _whole("step", step, 0, 2**31 - 1)


class _State(_Exclusive):
    """What training changes: the parameters and the optimizer's moments. Threads that call it wait for each other. It is
    pickled with all it holds."""

    def __init__(self, seed: int = 0, *, library: Optional[str] = None) -> None:
        """{doc state_create}

        `library` is the path of the shared library; None: where it lies with this module.
        """
        called = _load(os.fspath(library) if library is not None else None)
        address = ctypes.c_void_p()
        called.check(called.state_create(None, 0, _whole("seed", seed, 0, 2**64 - 1), ctypes.addressof(address)))
        super().__init__(_Held(called, None), _Owned(address.value, called.state_free))
        self._library = library

    # { embedded
    def reset(self) -> None:
        """{doc state_reset}"""
        with self._alone() as held:
            held.library.check(held.library.state_reset(self._owned.address))

    # } embedded
    def tensors(self) -> List[Tensor]:
        """{doc state_count} Their data are copies; see `set`."""
        with self._alone() as held:
            return [self._tensor(held, i) for i in range(held.library.state_count())]

    def _described(self, held: _Held, i: int) -> Tuple[Any, _Kind, str, Tuple[int, ...]]:
        tensor = _Tensor()
        held.library.check(held.library.state_at(self._owned.address, i, ctypes.byref(tensor)))
        name = Dtype(tensor.dtype).name.lower()
        return tensor, _KINDS[name], name, tuple(tensor.shape[: tensor.rank])

    def _tensor(self, held: _Held, i: int) -> Tensor:
        tensor, kind, name, shape = self._described(held, i)
        taken = _Taken(name, shape)
        ctypes.memmove(taken.address, tensor.data, tensor.elements * ctypes.sizeof(kind.ctype))
        return Tensor(tensor.name.decode(), name, shape, bool(tensor.trained), taken.value())

    def set(self, name: str, data: Array) -> None:
        """Sets the tensor of that name, as in the checkpoint."""
        with self._alone() as held:
            for i in range(held.library.state_count()):
                tensor, kind, kind_name, shape = self._described(held, i)
                if tensor.name.decode() != name:
                    continue
                given = _given(name, data, kind_name, shape)
                if given.address:
                    ctypes.memmove(tensor.data, given.address, tensor.elements * ctypes.sizeof(kind.ctype))
                return
        raise KeyError(name)

    def read(self, path: str, part: int = Part.PARAMETERS) -> None:
        """{doc state_read}"""
        part = Part(_whole("part", part, min(Part), max(Part)))
        with self._alone() as held:
            held.library.check(held.library.state_read_file(self._owned.address, part, os.fsencode(path)))

    def write(self, path: str, part: int = Part.EVERYTHING) -> None:
        """{doc state_write_file}"""
        part = Part(_whole("part", part, min(Part), max(Part)))
        with self._alone() as held:
            held.library.check(held.library.state_write_file(self._owned.address, part, os.fsencode(path)))

    def to_bytes(self, part: int = Part.EVERYTHING) -> bytes:
        """{doc state_write_bytes}"""
        part = Part(_whole("part", part, min(Part), max(Part)))
        with self._alone() as held:
            n = held.library.state_write_bytes(part)
            room = ctypes.create_string_buffer(n)
            held.library.check(held.library.state_write(self._owned.address, part, ctypes.addressof(room), n))
            return room.raw

    def from_bytes(self, data: bytes, part: int = Part.EVERYTHING) -> None:
        """{doc state_read}"""
        part = Part(_whole("part", part, min(Part), max(Part)))
        data = bytes(data)
        with self._alone() as held:
            held.library.check(held.library.state_read(self._owned.address, part, data, len(data)))

    def freeze(self) -> "Model":
        """A model of the state as it is now."""
        address = ctypes.c_void_p()
        with self._alone() as held:
            held.library.check(held.library.freeze(self._owned.address, ctypes.addressof(address)))
            model = Model.__new__(Model)
            model._again = None
            model._held = _Held(held.library, _Owned(address.value, held.library.close))
        return model

    def __reduce__(self) -> Any:
        return _state_again, (type(self), self._library, self.to_bytes())


def _state_again(kind: Any, library: Optional[str], data: bytes) -> Any:
    state = kind(library=library)
    state.from_bytes(data)
    return state
