# ---- Calling the library ----------------------------------------------------------------------------------

Array = Any  # numbers: a numpy array, an array.array, any other buffer, or lists of lists


class Error(Exception):
    """A call came to something else than Status.OK: `status` is what it came to, the text one sentence about it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return self.text


class _Library:
    """The functions of the library at a path, by their names in the header without the prefix."""

    def __init__(self, path: str) -> None:
        if not os.path.isfile(path):
            raise FileNotFoundError(errno.ENOENT, "the library that this module calls is not there", path)
        try:
            dll = ctypes.CDLL(path, use_errno=True)
        except OSError as cause:
            raise OSError("%s: cannot be loaded: %s" % (path, cause)) from None
        for name, result, arguments in _FUNCTIONS:
            function = getattr(dll, _PREFIX + name, None)
            if function is None:
                raise ImportError("%s: is another library: it has no function %s" % (path, _PREFIX + name))
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.path = path
        build = self.version().decode()
        if build != _BUILD:
            raise ImportError("%s: is another build (%s) than this module was written with (%s)" % (path, build, _BUILD))

    def check(self, status: int) -> None:
        if status == Status.OK:
            return
        text = self.status_text(status).decode().replace(_PREFIX.upper(), "")
        if status == Status.ERROR_FILE:
            text += ": " + os.strerror(ctypes.get_errno())
        raise Error(Status(status), text)


_libraries: Dict[str, _Library] = {}


def _load(path: Optional[str]) -> _Library:
    """The library at `path`; without one that in the folder of this file, or beside it."""
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.path.abspath(path)] if path else [os.path.join(here, _FILE), os.path.join(os.path.dirname(here), _FILE)]
    place = next(filter(os.path.isfile, places), places[0])
    if place not in _libraries:
        _libraries[place] = _Library(place)
    return _libraries[place]


def version() -> str:
    """{doc version}"""
    return _load(None).version().decode()


def cpu() -> Optional[str]:
    """{doc cpu}"""
    name = _load(None).cpu()
    return name.decode() if name else None


class _Owned:
    """An address that is given back by `free` when nothing refers to it any more."""

    def __init__(self, address: Optional[int], free: Callable[[int], None]) -> None:
        self.address, self._free = address, free

    def __del__(self) -> None:
        if self.address:
            self._free(self.address)


class _Room:
    """A workspace, which serves one call at a time."""

    def __init__(self, library: _Library) -> None:
        self.workspace = _Workspace()
        self.address = ctypes.addressof(self.workspace)
        self._free = library.workspace_free

    def __del__(self) -> None:
        self._free(self.address)


class _Held:
    """What calls need: the library, the model's weights, and workspaces that are free. Whoever is in a call refers to
    it, so that nothing is given back before the last one has returned."""

    def __init__(self, library: _Library, model: Optional[_Owned]) -> None:
        self.library, self.model = library, model
        self.address = model.address if model else None
        self.rooms: List[_Room] = []

    def call(self, name: str, *arguments: Any) -> None:
        """name(model, workspace, arguments...)"""
        self.call_with(name, self.address, *arguments)

    def call_with(self, name: str, first: Any, *arguments: Any) -> None:
        """name(first, workspace, arguments...)"""
        with self.room() as room:
            self.library.check(getattr(self.library, name)(first, room, *arguments))

    @contextlib.contextmanager
    def room(self) -> Iterator[int]:
        """The address of a workspace that no other call has."""
        try:
            room = self.rooms.pop()
        except IndexError:
            room = _Room(self.library)
        try:
            yield room.address
        finally:
            self.rooms.append(room)


class _Closes:
    """What calls open as `_held`, until it is closed: by `close`, or where `with` ends."""

    _held: Any
    _closed: str  # what a call is told then

    def _open(self) -> Any:
        held = self._held
        if held is None:
            raise ValueError(self._closed)
        return held

    def close(self) -> None:
        """Calls that are under way end well; later ones raise ValueError."""
        self._held = None

    def __enter__(self) -> Any:
        self._open()
        return self

    def __exit__(self, *cause: Any) -> None:
        self.close()


class _Model(_Closes):
    """The model. Any number of threads may call it at once; worker processes may inherit it, or get it pickled, by the
    path of its files. Close it, or use it in `with`, to give its memory back early."""

    _closed = "the model is closed"

    def __init__(
        self,
        # { weights external
        weights: Optional[str] = None,
        # } weights external
        *,
        library: Optional[str] = None,
    ) -> None:
        """`library` is the path of the shared library; None: where it lies with this module.
        # { weights external
        `weights` is the path of the weights' file; None: NAME.weights beside the library.
        # } weights external
        """
        called = _load(os.fspath(library) if library is not None else None)
        self._again: Optional[Tuple[Any, ...]] = (library,)
        model = None
        # { weights external
        self._again = (library, weights)
        path = os.fspath(weights) if weights is not None else os.path.join(os.path.dirname(called.path), _WEIGHTS)
        address = ctypes.c_void_p()
        try:
            called.check(called.open(os.fsencode(path), ctypes.addressof(address)))
        except Error as cause:
            raise Error(cause.status, "%s: %s" % (path, cause)) from None
        model = _Owned(address.value, called.close)
        # } weights external
        self._held: Optional[_Held] = _Held(called, model)

    def __reduce__(self) -> Any:
        self._open()
        if self._again is None:
            raise TypeError("a model that was frozen of a state lies in no file: pickle the state")
        return _again, (type(self), self._again)


def _again(kind: Any, where: Tuple[Any, ...]) -> Any:
    library, rest = where[0], where[1:]
    return kind(*rest, library=library)


# ---- Numbers ----------------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """A type of elements: in ctypes, in `array`, in numpy, and what stands for one number."""

    ctype: Any
    code: str
    numpy: str
    parts: int
    takes: str  # kinds of numpy's types that are converted
    low: int = 0
    high: int = 0  # of whole numbers


_KINDS = {
    "f32": _Kind(ctypes.c_float, "f", "float32", 1, "fiu"),
    "f64": _Kind(ctypes.c_double, "d", "float64", 1, "fiu"),
    "c64": _Kind(ctypes.c_float, "f", "complex64", 2, "cfiu"),
    "i32": _Kind(ctypes.c_int32, "i", "int32", 1, "iu", -(2**31), 2**31 - 1),
    "i64": _Kind(ctypes.c_int64, "q", "int64", 1, "iu", -(2**63), 2**63 - 1),
    "bool": _Kind(ctypes.c_uint8, "B", "bool", 1, "biu", 0, 1),
    "bf16": _Kind(ctypes.c_uint16, "H", "uint16", 1, "fiu"),
}

# What a buffer's letter stands for, by its bytes.
_LETTERS = {"f": "f", "d": "f", "e": "f", "?": "b", "Zf": "c", "Zd": "c"}
_LETTERS.update({letter: "i" for letter in "bhilqn"})
_LETTERS.update({letter: "u" for letter in "BHILQN"})


class _Given(NamedTuple):
    """Numbers as the library reads them: `keep` owns what lies at the address."""

    address: Optional[int]
    shape: Tuple[int, ...]
    keep: Any


def _shown(shape: Sequence[Any]) -> str:
    return "[%s]" % ", ".join("n" if extent is None else str(extent) for extent in shape)


def _fits(what: str, kind: str, wanted: Sequence[Optional[int]], got: Sequence[int]) -> None:
    if len(wanted) != len(got) or any(w is not None and w != g for w, g in zip(wanted, got)):
        raise ValueError("%s: wanted %s%s, but %s came" % (what, kind, _shown(wanted), _shown(got)))


def _cannot(what: str, kind: str, came: str) -> TypeError:
    return TypeError("%s: wanted numbers that are %s, but %s came" % (what, kind, came))


def _beyond(what: str, kind: _Kind) -> ValueError:
    return ValueError("%s: a number is not from %d to %d" % (what, kind.low, kind.high))


def _numpy_given(what: str, x: Any, name: str, wanted: Sequence[Optional[int]]) -> _Given:
    kind = _KINDS[name]
    try:
        a = numpy.asarray(x)
    except (ValueError, TypeError) as cause:
        raise ValueError("%s: wanted %s%s: %s" % (what, name, _shown(wanted), cause)) from None
    if not a.size and a.ndim < len(wanted):  # [] is as good as none of what is wanted
        a = a.reshape(a.shape + tuple(extent or 0 for extent in wanted[a.ndim :]))
    _fits(what, name, wanted, a.shape)
    if a.size and a.dtype.kind not in kind.takes:
        raise _cannot(what, name, str(a.dtype))
    if a.size and kind.high and a.dtype != kind.numpy and (a.min() < kind.low or a.max() > kind.high):
        raise _beyond(what, kind)
    if name == "bf16" and a.dtype != "uint16":
        a = _narrowed(a.astype("float32"))
    with numpy.errstate(over="ignore"):
        a = numpy.require(a, dtype=kind.numpy, requirements=["C", "A"])
    return _Given(a.ctypes.data if a.size else None, a.shape, a)


def _narrowed(a: Any) -> Any:
    """The upper halves of float32, rounded to the nearest, to even at a tie."""
    bits = numpy.ascontiguousarray(a).view("uint32").astype("uint64")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return numpy.where(numpy.isnan(a), 0x7FC0, rounded).astype("uint16")


def _narrow(x: float) -> int:
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return 0x7FC0 if x != x else (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16


def _is_list(x: Any) -> bool:
    return hasattr(x, "__len__") and hasattr(x, "__getitem__") and not isinstance(x, (str, bytes, dict))


def _flatten(what: str, x: Any, name: str, wanted: Sequence[Optional[int]]) -> Tuple[List[Any], Tuple[int, ...]]:
    level, shape = [x], []
    for extent in wanted:
        for row in level:
            if not _is_list(row):
                raise ValueError("%s: wanted %s%s: lists of lists, but %r came" % (what, name, _shown(wanted), row))
        lengths = {len(row) for row in level}
        if len(lengths) > 1:
            raise ValueError("%s: lists of one axis have %s elements" % (what, " and ".join(map(str, sorted(lengths)))))
        shape.append(lengths.pop() if lengths else extent or 0)  # [] is as good as none of what is wanted
        level = [element for row in level for element in row]
    return level, tuple(shape)


def _list_given(what: str, x: Any, name: str, wanted: Sequence[Optional[int]]) -> _Given:
    kind = _KINDS[name]
    level, shape = _flatten(what, x, name, wanted)
    _fits(what, name, wanted, shape)
    try:
        if name == "c64":
            level = [part for z in map(complex, level) for part in (z.real, z.imag)]
        if name == "bf16":
            level = [_narrow(float(number)) for number in level]
        if kind.high and level and (min(level) < kind.low or max(level) > kind.high):
            raise _beyond(what, kind)
        numbers = array.array(kind.code, level)
    except TypeError as cause:
        raise _cannot(what, name, "something else (%s)" % cause) from None
    except OverflowError:
        raise ValueError("%s: a number is too large for %s" % (what, name)) from None
    return _Given(numbers.buffer_info()[0] if numbers else None, shape, numbers)


def _buffer_given(what: str, view: memoryview, name: str, wanted: Sequence[Optional[int]]) -> _Given:
    """Of a buffer: as it lies there, if it is of the type and may be written to, else a copy."""
    kind = _KINDS[name]
    letter = view.format.lstrip("@=<") if sys.byteorder == "little" else view.format.lstrip("@=>")
    family = _LETTERS.get(letter)
    if family is None or family not in kind.takes:
        raise _cannot(what, name, "a buffer of '%s'" % view.format)
    _fits(what, name, wanted, view.shape)
    same = family == ("c" if name == "c64" else {"f": "f", "d": "f", "B": "b", "H": "u"}.get(kind.code, "i"))
    same = same and view.itemsize == kind.parts * ctypes.sizeof(kind.ctype)
    if not same or not view.c_contiguous:
        return _list_given(what, view.tolist(), name, wanted)
    flat = (kind.ctype * (view.nbytes // ctypes.sizeof(kind.ctype)))
    if not view.nbytes:
        return _Given(None, view.shape, None)
    numbers = flat.from_buffer_copy(view) if view.readonly else flat.from_buffer(view)
    return _Given(ctypes.addressof(numbers), view.shape, numbers)


def _given(what: str, x: Any, name: str, wanted: Sequence[Optional[int]]) -> _Given:
    """Numbers for the library, `wanted` with None where any extent will do. Arrays of the type that is wanted are not
    copied; others are converted where no number can change its meaning."""
    if numpy is not None:
        return _numpy_given(what, x, name, wanted)
    try:
        view = memoryview(x)
    except TypeError:
        return _list_given(what, x, name, wanted)
    return _buffer_given(what, view, name, wanted)


class _Taken:
    """Room for numbers that the library writes, and what is made of them: a numpy array, or lists of lists."""

    def __init__(self, name: str, shape: Sequence[int]) -> None:
        self.name, self.shape, self.kind = name, tuple(shape), _KINDS[name]
        if numpy is not None:
            self.numbers = numpy.empty(self.shape, dtype=self.kind.numpy)
            self.address = self.numbers.ctypes.data
        else:
            self.numbers = (self.kind.ctype * max(1, math.prod(self.shape) * self.kind.parts))()
            self.address = ctypes.addressof(self.numbers)

    def value(self) -> Array:
        if numpy is not None:
            if self.name == "bf16":
                return (self.numbers.astype("uint32") << 16).view("float32")
            return self.numbers
        numbers = list(self.numbers)[: math.prod(self.shape) * self.kind.parts]
        if self.name == "c64":
            numbers = [complex(re, im) for re, im in zip(numbers[::2], numbers[1::2])]
        if self.name == "bf16":
            numbers = [struct.unpack("<f", struct.pack("<I", bits << 16))[0] for bits in numbers]
        if self.name == "bool":
            numbers = [number != 0 for number in numbers]
        return _nested(numbers, self.shape)


def _nested(numbers: List[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return numbers[0]
    for extent in reversed(shape[1:]):
        count = len(numbers) // extent if extent else math.prod(shape[:-1])
        numbers = [numbers[i * extent : (i + 1) * extent] for i in range(count)]
    return numbers


def _whole(what: str, x: Any, low: int, high: int) -> int:
    try:
        number = operator.index(x)
    except TypeError:
        raise TypeError("%s: wanted a whole number, but %r came" % (what, x)) from None
    if not low <= number <= high:
        raise ValueError("%s: wanted %d to %d, but %d came" % (what, low, high, number))
    return number


# { recommend ratings generate
# ---- Lists of several lengths -----------------------------------------------------------------------------


class Ragged:
    """Lists one after the other: list i is values[offsets[i]:offsets[i + 1]]. Give `offsets`, of which there is one more
    than there are lists, or the lists' `lengths`."""

    def __init__(self, values: Array, offsets: Array = None, *, lengths: Array = None) -> None:
        if (offsets is None) == (lengths is None):
            raise TypeError("Ragged: wanted offsets or lengths")
        self.values, self.offsets, self.lengths = values, offsets, lengths


def _numbers(given: _Given) -> List[int]:
    return [] if given.keep is None else given.keep.tolist() if hasattr(given.keep, "tolist") else list(given.keep)


def _offsets(what: str, ragged: Ragged, n_values: int) -> _Given:
    if ragged.offsets is None:
        lengths = _numbers(_given(what + ": lengths", ragged.lengths, "i64", (None,)))
        if min(lengths, default=0) < 0:
            raise ValueError("%s: a length is negative" % what)
        if sum(lengths) != n_values:
            raise ValueError("%s: lengths add up to %d, but there are %d values" % (what, sum(lengths), n_values))
        numbers = array.array("q", itertools.chain([0], itertools.accumulate(lengths)))
        return _Given(numbers.buffer_info()[0], (len(numbers),), numbers)
    offsets = _given(what + ": offsets", ragged.offsets, "i64", (None,))
    if not offsets.shape[0]:
        raise ValueError("%s: wanted one offset more than there are lists" % what)
    numbers = _numbers(offsets)
    if numbers[0] < 0 or numbers[-1] > n_values or any(map(operator.gt, numbers, numbers[1:])):
        raise ValueError("%s: offsets must not fall, nor leave the %d values" % (what, n_values))
    return offsets


def _joined(what: str, lists: Any, extend: Callable[[Any], int]) -> _Given:
    """The offsets of lists that `extend` appends, and returns the length of."""
    offsets, at = array.array("q", [0]), 0
    if not _is_list(lists):
        raise TypeError("%s: wanted a list of lists, or Ragged, but %r came" % (what, lists))
    for i, one in enumerate(lists):
        if not hasattr(one, "__iter__") or isinstance(one, (str, bytes)):
            raise TypeError("%s: wanted a list of lists, but %r came for number %d" % (what, one, i))
        try:
            at += extend(one)
        except (TypeError, ValueError, OverflowError) as cause:
            raise type(cause)("%s: list %d: %s" % (what, i, cause)) from None
        offsets.append(at)
    return _Given(offsets.buffer_info()[0], (len(offsets),), offsets)


# } recommend ratings generate
# { recommend
def _lists(what: str, lists: Any) -> Tuple[Any, int, Any]:
    """The struct for lists of items, how many there are, and what owns them."""
    if isinstance(lists, Ragged):
        values = _given(what + ": values", lists.values, "i32", (None,))
        offsets = _offsets(what, lists, values.shape[0])
    else:
        items = array.array("i")

        def extend(one: Any) -> int:
            before = len(items)
            items.extend(one if not isinstance(one, array.array) else one.tolist())
            return len(items) - before

        offsets = _joined(what, lists, extend)
        values = _Given(items.buffer_info()[0] if items else None, (len(items),), items)
    return _Lists(offsets.address, values.address), offsets.shape[0] - 1, (offsets, values)


# } recommend


# { items
# ---- The items' names -------------------------------------------------------------------------------------

# { recommend
_FIRST = 1  # the number of the first name: 0 is padding
# } recommend
# { ratings
_FIRST = 0  # the number of the first name
# } ratings
_names: List[str] = []
_numbers_of: Dict[str, int] = {}


def _read_names() -> None:
    if not _names:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "items.txt")
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            read = file.read().split("\n")
        if read and not read[-1]:
            read.pop()
        _numbers_of.update((name, _FIRST + i) for i, name in enumerate(read))
        _names.extend(read)


def names(items: Any) -> Any:
    """What the data call items, for their number or for lists of numbers; None for the -1 behind the end of a list."""
    _read_names()
    if _is_list(items):
        return [names(item) for item in items]
    item = _whole("an item", items, -1, _FIRST + len(_names) - 1)
    return _names[item - _FIRST] if item >= _FIRST else None


def numbers(items: Any) -> Any:
    """The number of an item by what the data call it, or those of lists of names."""
    _read_names()
    if not isinstance(items, str):
        return [numbers(item) for item in items]
    if items not in _numbers_of:
        raise KeyError("%s: is no item of the model's data" % items)
    return _numbers_of[items]


# } items
# { training generate
# ---- What one call at a time may use ----------------------------------------------------------------------


class _Exclusive:
    """Something of the library's that one call at a time may use: threads wait for each other."""

    def __init__(self, held: _Held, owned: _Owned) -> None:
        self._held: Optional[_Held] = held
        self._owned = owned
        self._lock = threading.RLock()
        _exclusives.add(self)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[_Held]:
        with self._lock:
            if self._held is None:
                raise ValueError("%s: is closed" % type(self).__name__)
            yield self._held

    def close(self) -> None:
        """Waits for the call that is under way; later ones raise ValueError."""
        with self._lock:
            self._held = None
            self._owned = _Owned(None, lambda address: None)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *cause: Any) -> None:
        self.close()


_exclusives: "weakref.WeakSet[_Exclusive]" = weakref.WeakSet()


def _new_locks() -> None:
    """A child process has no thread that would give back a lock which another one held."""
    for exclusive in _exclusives:
        exclusive._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_locks)


# } training generate
